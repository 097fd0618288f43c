"""python-ldap, which is libldap: what Django's and many other integrations are built on."""

import ldap
import ldap.filter
import ldap.sasl
from ldap.controls import SimplePagedResultsControl
from ldap.controls.libldap import AssertionControl, MatchedValuesControl
from ldap.controls.sss import SSSRequestControl
from ldap.controls.vlv import VLVRequestControl

import checks
from checks import BASE, check, ok, skipped


def connect(url, start_tls=False, certificate=False):
    connection = ldap.initialize(url)
    connection.protocol_version = 3
    connection.timeout = 30
    connection.set_option(ldap.OPT_REFERRALS, 0)
    connection.set_option(ldap.OPT_X_TLS_CACERTFILE, checks.CA)
    connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
    if certificate:
        connection.set_option(ldap.OPT_X_TLS_CERTFILE, checks.CLIENT_CERTIFICATE)
        connection.set_option(ldap.OPT_X_TLS_KEYFILE, checks.CLIENT_KEY)
    connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    if start_tls:
        connection.start_tls_s()
    return connection


def values(connection, name):
    [(_, root)] = connection.search_s("", ldap.SCOPE_BASE, "(objectClass=*)", [name])
    return {value.decode() for value in root.get(name, [])}


def people(connection, controls, attributes=("uid",)):
    request = connection.search_ext(
        BASE, ldap.SCOPE_SUBTREE, "(objectClass=inetOrgPerson)", list(attributes), serverctrls=controls
    )
    _, entries, _, answered = connection.result3(request)
    return entries, answered


plain = connect(checks.LDAP)
controls = values(plain, "supportedControl")
extensions = values(plain, "supportedExtension")
mechanisms = values(plain, "supportedSASLMechanisms")
check(BASE in values(plain, "namingContexts"), "namingContexts")
ok("connect")

try:
    plain.simple_bind_s(checks.SEARCHER, checks.SEARCHER_SECRET)
    check(False, "a secret in clear is refused")
except ldap.CONFIDENTIALITY_REQUIRED:
    ok("no bind in clear")

for name, connection in [("StartTLS", connect(checks.LDAP, True)), ("LDAPS", connect(checks.LDAPS))]:
    check(connection.whoami_s() == "", "whoami before a bind")
    connection.simple_bind_s(checks.SEARCHER, checks.SEARCHER_SECRET)
    check(connection.whoami_s() == "dn:" + checks.SEARCHER, "whoami")
    ok(name)

try:
    connection.simple_bind_s(checks.PERSON, "wrong")
    check(False, "a wrong password is refused")
except ldap.INVALID_CREDENTIALS:
    check(connection.whoami_s() == "", "whoami after a wrong bind")
    ok("wrong bind")
connection.simple_bind_s(checks.PERSON, checks.PERSON_PASSWORD)
connection.simple_bind_s(checks.SEARCHER, checks.SEARCHER_SECRET)
ok("bind")

found = connection.search_s(BASE, ldap.SCOPE_SUBTREE, ldap.filter.filter_format("(sn=%s)", ["GRÜN"]), ["cn", "mail"])
check([dn for dn, _ in found] == ["cn=grace,ou=users," + BASE], found)
check(found[0][1] == {"cn": [b"grace"], "mail": [b"grace@example.com"]}, found)
check(connection.search_s(BASE, ldap.SCOPE_SUBTREE, "(|(nonsense=*)(uid=nobody))") == [], "nothing is found")
try:
    connection.search_s("ou=nowhere," + BASE, ldap.SCOPE_BASE)
    check(False, "a base that is not there")
except ldap.NO_SUCH_OBJECT as error:
    check(error.args[0]["matched"] == BASE, error)
ok("search")

check(connection.compare_s(checks.PERSON, "mail", b"ALICE@example.com") is True, "compare true")
check(connection.compare_s(checks.PERSON, "mail", b"other@example.com") is False, "compare false")
try:
    connection.compare_s(checks.PERSON, "pager", b"1")
    check(False, "compare of an attribute that is not there")
except ldap.NO_SUCH_ATTRIBUTE:
    ok("compare")

everybody = {dn for dn, _ in people(connection, [])[0]}
check(len(everybody) > 10, everybody)
if checks.PAGED in controls:
    cookie, pages, paged = "", 0, []
    while True:
        entries, answered = people(connection, [SimplePagedResultsControl(True, 5, cookie)])
        check(len(entries) <= 5, "a page has no more than was asked for")
        paged.extend(dn for dn, _ in entries)
        pages += 1
        [cookie] = [answer.cookie for answer in answered if answer.controlType == checks.PAGED]
        if not cookie:
            break
    check(pages >= 3 and len(paged) == len(everybody) and set(paged) == everybody, paged)
    ok("paging")
else:
    skipped("paging")

if checks.SORT in controls:
    for key, reverse in [("uid", False), ("-uid", True)]:
        entries, answered = people(connection, [SSSRequestControl(True, [key])])
        names = [entry["uid"][0].decode().lower() for _, entry in entries]
        check(names == sorted(names, reverse=reverse) and len(names) == len(everybody), names)
        check([a.result for a in answered if a.controlType == "1.2.840.113556.1.4.474"] == [0], "sort result")
    ok("sort")
else:
    skipped("sort")

if checks.VLV in controls:
    ordered = sorted(dn for dn in everybody)
    names = [entry["uid"][0] for _, entry in people(connection, [SSSRequestControl(True, ["uid"])])[0]]
    window = VLVRequestControl(True, before_count=1, after_count=2, offset=4, content_count=0)
    entries, answered = people(connection, [SSSRequestControl(True, ["uid"]), window])
    check([entry["uid"][0] for _, entry in entries] == names[2:6], entries)
    [answer] = [answer for answer in answered if answer.controlType == "2.16.840.1.113730.3.4.10"]
    check((answer.targetPosition, answer.contentCount) == (4, len(ordered)), "position and count")
    ok("VLV")
else:
    skipped("VLV")

if checks.ASSERTION in controls:
    check(len(people(connection, [AssertionControl(True, "(objectClass=*)")])[0]) == len(everybody), "assertion")
    try:
        people(connection, [AssertionControl(True, "(cn=nobody)")])
        check(False, "an assertion that does not hold")
    except ldap.ASSERTION_FAILED:
        ok("assertion")
else:
    skipped("assertion")

if checks.MATCHED_VALUES in controls:
    entries, _ = people(connection, [MatchedValuesControl(True, "((objectClass=inetOrgPerson))")], ["objectClass"])
    check({tuple(entry.get("objectClass", [])) for _, entry in entries} == {(b"inetOrgPerson",)}, entries)
    ok("matched values")
else:
    skipped("matched values")

if checks.PASSWORD_MODIFY in extensions:
    machine = connect(checks.LDAPS)
    machine.simple_bind_s(checks.MACHINE, checks.MACHINE_SECRET)
    _, answer = machine.passwd_s(None, None, None, extract_newpw=True)
    again = connect(checks.LDAPS)
    again.simple_bind_s(checks.MACHINE, answer.genPasswd.decode())
    check(again.whoami_s() == "dn:" + checks.MACHINE, "whoami with the new secret")
    try:
        connect(checks.LDAPS).passwd_s(checks.MACHINE, None, None)
        check(False, "password modify without an identity")
    except ldap.INSUFFICIENT_ACCESS:
        ok("password modify")
else:
    skipped("password modify")

# A mechanism is offered where it can be used.
mechanisms |= values(connect(checks.LDAPS), "supportedSASLMechanisms")
if checks.CLIENT_CERTIFICATE:
    mechanisms |= values(connect(checks.LDAPS, certificate=True), "supportedSASLMechanisms")
if "PLAIN" in mechanisms:
    sasl = connect(checks.LDAPS)
    for name in ["ldapservice", checks.SEARCHER]:
        answers = {ldap.sasl.CB_AUTHNAME: name, ldap.sasl.CB_PASS: checks.SEARCHER_SECRET}
        sasl.sasl_interactive_bind_s("", ldap.sasl.sasl(answers, "PLAIN"))
        check(sasl.whoami_s() == "dn:" + checks.SEARCHER, "whoami after PLAIN")
    try:
        answers = {ldap.sasl.CB_AUTHNAME: "ldapservice", ldap.sasl.CB_PASS: "wrong"}
        sasl.sasl_interactive_bind_s("", ldap.sasl.sasl(answers, "PLAIN"))
        check(False, "PLAIN with a wrong secret")
    except ldap.INVALID_CREDENTIALS:
        ok("SASL PLAIN")
else:
    skipped("SASL PLAIN")

if "EXTERNAL" in mechanisms:
    check(checks.CLIENT_CERTIFICATE, "EXTERNAL is offered, and the test has no certificate for it")
    external = connect(checks.LDAPS, certificate=True)
    external.sasl_external_bind_s()
    check(external.whoami_s() == "dn:" + checks.CLIENT, "whoami after EXTERNAL")
    ok("SASL EXTERNAL")
else:
    skipped("SASL EXTERNAL")

try:
    connection.modify_s(checks.PERSON, [(ldap.MOD_REPLACE, "sn", b"x")])
    check(False, "a change is refused")
except ldap.UNWILLING_TO_PERFORM:
    ok("read-only")
