"""ldap3, the client in pure Python: it reads the schema at once and checks what is asked against it."""

import ssl

import ldap3
from ldap3.core.exceptions import LDAPAttributeError, LDAPBindError

import checks
from checks import BASE, check, ok, skipped

TLS = ldap3.Tls(ca_certs_file=checks.CA, validate=ssl.CERT_REQUIRED)


def server(url):
    return ldap3.Server(url, tls=TLS, get_info=ldap3.ALL, connect_timeout=30)


def connect(url=checks.LDAPS, user=checks.SEARCHER, secret=checks.SEARCHER_SECRET, **more):
    return ldap3.Connection(server(url), user, secret, receive_timeout=30, **more)


plain = ldap3.Connection(server(checks.LDAP), receive_timeout=30)
check(plain.bind(), plain.result)
info, schema = plain.server.info, plain.server.schema
controls = {oid for oid, *_ in info.supported_controls}
extensions = {oid for oid, *_ in info.supported_extensions}
check(BASE in info.naming_contexts, info)
check("inetOrgPerson" in schema.object_classes and "memberOf" in schema.attribute_types, "the schema is read")
ok("connect")

check(not connect(checks.LDAP).bind(), "a secret in clear is refused")
ok("no bind in clear")

connection = connect(checks.LDAP)
connection.open()
check(connection.start_tls(), connection.result)
check(connection.bind(), connection.result)
check(connection.extend.standard.who_am_i() == "dn:" + checks.SEARCHER, "whoami")
ok("StartTLS")

connection = connect()
check(connection.bind(), connection.result)
check(connection.extend.standard.who_am_i() == "dn:" + checks.SEARCHER, "whoami")
ok("LDAPS")

wrong = connect(user=checks.PERSON, secret="wrong")
check(not wrong.bind() and wrong.result["result"] == 49, wrong.result)
try:
    connect(user=checks.PERSON, secret="wrong", auto_bind=True)
    check(False, "a wrong password is refused")
except LDAPBindError:
    ok("wrong bind")
check(connection.rebind(checks.PERSON, checks.PERSON_PASSWORD), connection.result)
check(connection.rebind(checks.SEARCHER, checks.SEARCHER_SECRET), connection.result)
ok("bind")

check(connection.search(BASE, "(sn=GRÜN)", attributes=["cn", "mail", "entryUUID"]), connection.result)
[entry] = connection.entries
check(entry.entry_dn == "cn=grace,ou=users," + BASE and entry.mail == "grace@example.com", entry)
connection.search(BASE, "(uid=alice)", attributes=[ldap3.ALL_ATTRIBUTES, ldap3.ALL_OPERATIONAL_ATTRIBUTES])
[entry] = connection.entries
check(entry.uidNumber.value == 7007, entry)
check(entry.createTimestamp.value.year >= 2024, "a time is read by its syntax")
check(not connection.search(BASE, "(uid=nobody)"), "nothing is found")
try:
    connection.search(BASE, "(nonsense=*)", attributes=["nonsense"])
    check(False, "ldap3 knows from the schema that there is no such attribute")
except LDAPAttributeError:
    ok("search")

check(connection.compare(checks.PERSON, "mail", "ALICE@example.com"), connection.result)
check(not connection.compare(checks.PERSON, "mail", "other@example.com"), connection.result)
ok("compare")

connection.search(BASE, "(objectClass=inetOrgPerson)", attributes=["uid"])
everybody = {entry.entry_dn for entry in connection.entries}
if checks.PAGED in controls:
    pages = connection.extend.standard.paged_search(
        BASE, "(objectClass=inetOrgPerson)", attributes=["uid"], paged_size=5, paged_criticality=True, generator=True
    )
    paged = [entry["dn"] for entry in pages]
    check(len(paged) == len(everybody) > 10 and set(paged) == everybody, paged)
    ok("paging")
else:
    skipped("paging")

skipped("sort", "the client has no such control")
skipped("VLV", "the client has no such control")

if checks.PASSWORD_MODIFY in extensions:
    machine = connect(user=checks.MACHINE, secret=checks.MACHINE_SECRET, auto_bind=True)
    secret = machine.extend.standard.modify_password()
    check(isinstance(secret, str) and secret, machine.result)
    again = connect(user=checks.MACHINE, secret=secret, auto_bind=True)
    check(again.extend.standard.who_am_i() == "dn:" + checks.MACHINE, "whoami with the new secret")
    ok("password modify")
else:
    skipped("password modify")

mechanisms = connection.server.info.supported_sasl_mechanisms or []
if checks.CLIENT_CERTIFICATE:
    mechanisms = [*mechanisms, "EXTERNAL"]
if "PLAIN" in mechanisms:
    for secret, answer in [(checks.SEARCHER_SECRET, True), ("wrong", False)]:
        sasl = ldap3.Connection(
            server(checks.LDAPS),
            authentication=ldap3.SASL,
            sasl_mechanism="PLAIN",
            sasl_credentials=(None, "ldapservice", secret),
        )
        check(sasl.bind() is answer, sasl.result)
    ok("SASL PLAIN")
else:
    skipped("SASL PLAIN")

if "EXTERNAL" in mechanisms:
    check(checks.CLIENT_CERTIFICATE, "EXTERNAL is offered, and the test has no certificate for it")
    tls = ldap3.Tls(
        local_certificate_file=checks.CLIENT_CERTIFICATE,
        local_private_key_file=checks.CLIENT_KEY,
        ca_certs_file=checks.CA,
        validate=ssl.CERT_REQUIRED,
    )
    external = ldap3.Connection(
        ldap3.Server(checks.LDAPS, tls=tls), authentication=ldap3.SASL, sasl_mechanism="EXTERNAL", sasl_credentials=b""
    )
    check(external.bind(), external.result)
    check(external.extend.standard.who_am_i() == "dn:" + checks.CLIENT, "whoami after EXTERNAL")
    ok("SASL EXTERNAL")
else:
    skipped("SASL EXTERNAL")

check(not connection.delete(checks.PERSON) and connection.result["result"] == 53, connection.result)
ok("read-only")
