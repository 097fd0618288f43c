"""authentik-client, the published package for authentik's API, unmodified: it checks every answer against its models.

What a token with the permission may do is done, and what one without it may not is refused, with what the answer
says. `clerk` makes service accounts, `auditor` looks, `stranger` has no permission, `admin` is a superuser.
"""

import base64
import hashlib
import json
import os
import ssl
import sys
from datetime import datetime, timedelta, timezone
from time import sleep
from uuid import uuid4

import ldap3
import authentik_client as ak
from authentik_client.exceptions import ApiException

CA = os.environ["CA_FILE"]
BASE = os.environ["BASE"]
IN_TWO_DAYS = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=2)
LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)
NOBODY = 4_000_000


class Client(ak.ApiClient):
    """The client as it is; it notes which of its operations have succeeded."""

    done = set()

    def param_serialize(self, method, resource_path, *arguments, **parameters):
        self.operation = f"{method} {resource_path}"
        return super().param_serialize(method, resource_path, *arguments, **parameters)

    def response_deserialize(self, *arguments, **parameters):
        answer = super().response_deserialize(*arguments, **parameters)
        self.done.add(self.operation)
        return answer


class Caller:
    """The parts of the API, called with one token."""

    def __init__(self, token, url=os.environ["HTTPS_URL"]):
        configuration = ak.Configuration(host=url + "/api/v3", access_token=token, ssl_ca_cert=CA)
        client = Client(configuration)
        self.core = ak.CoreApi(client)
        self.rbac = ak.RbacApi(client)
        self.events = ak.EventsApi(client)
        self.policies = ak.PoliciesApi(client)
        self.providers = ak.ProvidersApi(client)
        self.outposts = ak.OutpostsApi(client)
        self.crypto = ak.CryptoApi(client)
        self.admin = ak.AdminApi(client)
        self.root = ak.RootApi(client)


def ok(what):
    print("ok:", what, flush=True)


def refused(status, call, *arguments, **parameters):
    """Makes a call that must be refused, and gives the body of the answer."""
    try:
        answer = call(*arguments, **parameters)
    except ApiException as error:
        assert error.status == status, (error.status, error.body)
        assert error.headers["Content-Type"] == "application/json", error.headers
        body = json.loads(error.body)
        assert isinstance(body.pop("code"), str), error.body
        if status == 400:
            lists = body.values()
            assert body and all(isinstance(item, str) for messages in lists for item in messages), body
            return body
        assert list(body) == ["detail"], body
        if status == 401:
            assert error.headers["WWW-Authenticate"] == "Bearer", error.headers
        return body["detail"]
    sys.exit(f"{call.__name__}{arguments} {parameters} must be refused with {status}, and is answered with {answer}")


def forbidden(permission, call, *arguments, **parameters):
    """A call that is refused to somebody who may know the object: the answer names what is missing."""
    detail = refused(403, call, *arguments, **parameters)
    assert f"`{permission}`" in detail, detail


def said(piece, body):
    """Whether the body of a refusal holds a field, or its detail a text."""
    assert piece in body, (piece, body)


def names(page, of):
    return [getattr(item, of) for item in page.results]


def is_page(page, count, current, total_pages, start, end):
    """What the envelope of a page says."""
    pagination = page.pagination.to_dict()
    expected = {
        "count": count,
        "current": current,
        "total_pages": total_pages,
        "start_index": start,
        "end_index": end,
        "previous": current - 1,
        "next": current + 1 if current < total_pages else 0,
    }
    assert pagination == expected, (pagination, expected)
    assert len(page.results) == (end - start + 1 if end else 0), page


def may_bind(username, secret):
    """Whether LDAP takes it."""
    tls = ldap3.Tls(ca_certs_file=CA, validate=ssl.CERT_REQUIRED)
    server = ldap3.Server(os.environ["LDAPS_URL"], tls=tls, get_info=ldap3.NONE, connect_timeout=30)
    return ldap3.Connection(server, f"cn={username},ou=users,{BASE}", secret, receive_timeout=30).bind()


admin, clerk, auditor, stranger = (
    Caller(os.environ[name]) for name in ("ADMIN", "CLERK", "AUDITOR", "STRANGER")
)


def credentials():
    me = clerk.core.core_users_me_retrieve()
    assert me.user.username == "clerk" and me.user.type == ak.UserTypeEnum.SERVICE_ACCOUNT, me
    assert me.user.is_current and not me.user.is_superuser and me.original is None, me
    assert [role.name for role in me.user.roles] == ["clerk"], me
    assert admin.core.core_users_me_retrieve().user.is_superuser
    assert [group.name for group in admin.core.core_users_me_retrieve().user.groups] == ["admins"]
    in_clear = Caller(os.environ["CLERK"], os.environ["HTTP_URL"])
    assert in_clear.core.core_users_me_retrieve().user.username == "clerk"
    for wrong in (None, "wrong", os.environ["CLERK"][:-1] + "_", os.environ["PORTAL_APP_PASSWORD"]):
        for method in ("core_users_me_retrieve", "core_users_list", "core_tokens_list"):
            refused(401, getattr(Caller(wrong).core, method))
        refused(401, Caller(wrong).rbac.rbac_roles_list)
        refused(401, Caller(wrong).events.events_events_list)
    ok("credentials")


def service_accounts():
    request = ak.UserServiceAccountRequest(name="made", create_group=True)
    made = clerk.core.core_users_service_account_create(request)
    assert made.username == "made" and made.user_pk > 0 and made.group_pk, made
    assert may_bind("made", made.token), "the first app password opens LDAP"
    refused(401, Caller(made.token).core.core_users_me_retrieve)
    group = clerk.core.core_groups_retrieve(made.group_pk)
    assert group.name == "made" and group.users == [made.user_pk], group

    user = clerk.core.core_users_retrieve(made.user_pk)
    assert user.username == "made" and user.uid == made.user_uid and user.is_active, user
    assert user.type == ak.UserTypeEnum.SERVICE_ACCOUNT, user
    [token] = clerk.core.core_tokens_list(user__username="made").results
    assert token.intent == ak.IntentEnum.APP_PASSWORD and token.expiring, token
    assert 359 <= (token.expires - datetime.now(timezone.utc)).days <= 360, token

    expires = ak.UserServiceAccountRequest(name="made-for-days", expires=IN_TWO_DAYS)
    made_for_days = clerk.core.core_users_service_account_create(expires)
    assert made_for_days.group_pk is None, made_for_days
    [token] = clerk.core.core_tokens_list(user__username="made-for-days").results
    assert token.expires == IN_TWO_DAYS, token
    forever = ak.UserServiceAccountRequest(name="made-forever", expiring=False)
    clerk.core.core_users_service_account_create(forever)
    [token] = clerk.core.core_tokens_list(user__username="made-forever").results
    assert token.expires is None and token.expiring is False, token

    # What a username may hold and the identifier of a token may not.
    odd = ak.UserServiceAccountRequest(name="made.by+clerk@example")
    clerk.core.core_users_service_account_create(odd)
    [token] = clerk.core.core_tokens_list(user__username=odd.name).results
    assert token.user_obj.username == odd.name, token

    create = clerk.core.core_users_service_account_create
    said("name", refused(400, create, request))
    past = ak.UserServiceAccountRequest(name="made-too-late", expires=LONG_AGO)
    said("expires", refused(400, create, past))
    for caller in (auditor, stranger):
        another = ak.UserServiceAccountRequest(name="another")
        forbidden("authentik_core.add_user", caller.core.core_users_service_account_create, another)
    assert not admin.core.core_users_list(username="another").results
    ok("service accounts")


def tokens():
    core = clerk.core
    owner = core.core_users_list(username="made").results[0].pk
    request = ak.TokenRequest(
        identifier="made-second", user=owner, intent=ak.IntentEnum.APP_PASSWORD, description="for the wiki"
    )
    token = core.core_tokens_create(request)
    assert token.identifier == "made-second" and token.user == owner and token.expiring, token
    assert token.user_obj.username == "made" and token.description == "for the wiki", token

    # The secret: once for who made it, for nobody else.
    forbidden("authentik_core.view_token_key", auditor.core.core_tokens_view_key_retrieve, "made-second")
    refused(404, stranger.core.core_tokens_view_key_retrieve, "made-second")
    said("is not kept", refused(403, admin.core.core_tokens_view_key_retrieve, "made-second"))
    secret = core.core_tokens_view_key_retrieve("made-second").key
    assert may_bind("made", secret), "the viewed secret opens LDAP"
    said("is not kept", refused(403, core.core_tokens_view_key_retrieve, "made-second"))
    refused(404, core.core_tokens_view_key_retrieve, "no-such-token")

    # Lists: pages, order, search, filters.
    for number in range(5):
        core.core_tokens_create(
            ak.TokenRequest(identifier=f"page-{number}", user=owner, intent="app_password", expiring=number > 0)
        )
    pages = [core.core_tokens_list(search="page-", page=page, page_size=2) for page in (1, 2, 3)]
    for page, (start, end) in zip(pages, ((1, 2), (3, 4), (5, 5))):
        is_page(page, 5, page.pagination.current, 3, start, end)
    assert sorted(sum((names(page, "identifier") for page in pages), [])) == [f"page-{n}" for n in range(5)]
    refused(404, core.core_tokens_list, search="page-", page=4, page_size=2)
    is_page(core.core_tokens_list(search="nothing-has-this-name"), 0, 1, 1, 0, 0)
    backwards = core.core_tokens_list(search="page-", ordering="-identifier")
    assert names(backwards, "identifier") == [f"page-{number}" for number in (4, 3, 2, 1, 0)], backwards
    said("ordering", refused(400, core.core_tokens_list, ordering="colour"))
    assert names(core.core_tokens_list(search="page-", expiring=False), "identifier") == ["page-0"]
    assert names(core.core_tokens_list(identifier="page-1"), "identifier") == ["page-1"]
    assert names(core.core_tokens_list(description="for the wiki"), "identifier") == ["made-second"]
    assert names(core.core_tokens_list(expires=IN_TWO_DAYS), "identifier") == ["made-for-days-app-password"]
    assert core.core_tokens_list(user__username="made").pagination.count == 7
    assert core.core_tokens_list(user__username="nobody-of-this-name").pagination.count == 0
    assert names(admin.core.core_tokens_list(intent="api", search="auditor"), "identifier") == ["auditor-api"]
    assert admin.core.core_tokens_list(intent=ak.IntentEnum.RECOVERY).pagination.count == 0
    # Whoever may view none of them sees that there are none.
    owners = {token.user_obj.username for token in stranger.core.core_tokens_list().results}
    assert owners == {"stranger"}, owners
    assert stranger.core.core_tokens_retrieve("stranger-api").intent == ak.IntentEnum.API
    assert auditor.core.core_tokens_list().pagination.count > core.core_tokens_list().pagination.count

    # Changes.
    changed = core.core_tokens_partial_update("page-1", ak.PatchedTokenRequest(description="for the mail"))
    assert changed.description == "for the mail" and changed.user == owner, changed
    whole = ak.TokenRequest(identifier="page-1", user=owner, intent="app_password", expires=IN_TWO_DAYS)
    assert core.core_tokens_update("page-1", whole).expires == IN_TWO_DAYS
    renamed = core.core_tokens_partial_update("page-1", ak.PatchedTokenRequest(identifier="page-one"))
    assert core.core_tokens_retrieve("page-one") == renamed
    refused(404, core.core_tokens_retrieve, "page-1")
    patch = ak.PatchedTokenRequest(description="mine")
    forbidden("authentik_core.change_token", auditor.core.core_tokens_partial_update, "page-2", patch)
    refused(404, stranger.core.core_tokens_partial_update, "page-2", patch)
    assert core.core_tokens_used_by_list("page-2") == []
    refused(404, stranger.core.core_tokens_used_by_list, "page-2")

    # What cannot be.
    create = core.core_tokens_create
    said("identifier", refused(400, create, request))
    recovery = ak.TokenRequest(identifier="recovery", user=owner, intent=ak.IntentEnum.RECOVERY)
    said("intent", refused(400, create, recovery))
    said("user", refused(400, create, ak.TokenRequest(identifier="of-nobody", user=NOBODY)))
    spaced = ak.TokenRequest.model_construct(identifier="white space", user=owner)
    said("identifier", refused(400, create, spaced))
    said("managed", refused(400, create, ak.TokenRequest(identifier="managed", managed="by/me", user=owner)))
    late = ak.TokenRequest(identifier="too-late", user=owner, expires=LONG_AGO)
    said("expires", refused(400, create, late))
    forbidden("authentik_core.add_token", auditor.core.core_tokens_create, ak.TokenRequest(identifier="own"))
    of_admin = ak.TokenRequest(identifier="of-admin", user=admin.core.core_users_me_retrieve().user.pk)
    forbidden("authentik_core.change_user", create, of_admin)

    # A secret of one's own.
    own = ak.TokenSetKeyRequest(key="a-secret-of-my-own-0123456789-abcdefghij")
    core.core_tokens_set_key_create("page-3", own)
    assert may_bind("made", own.key), "the secret that was set opens LDAP"
    forbidden("authentik_core.set_token_key", auditor.core.core_tokens_set_key_create, "page-3", own)
    refused(404, stranger.core.core_tokens_set_key_create, "page-3", own)

    # The end of it.
    forbidden("authentik_core.delete_token", auditor.core.core_tokens_destroy, "made-second")
    refused(404, stranger.core.core_tokens_destroy, "made-second")
    assert may_bind("made", secret)
    core.core_tokens_destroy("made-second")
    assert not may_bind("made", secret), "a deleted token opens nothing"
    refused(404, core.core_tokens_retrieve, "made-second")
    refused(404, core.core_tokens_destroy, "made-second")
    ok("tokens")


def tokens_that_end():
    """API tokens that their owner made over the API, until they are revoked or expired."""
    own = clerk.core
    for identifier in ("revoked", "expired"):
        created = own.core_tokens_create(ak.TokenRequest(identifier=identifier))
        assert created.intent == ak.IntentEnum.API and created.user_obj.username == "clerk", created
        caller = Caller(own.core_tokens_view_key_retrieve(identifier).key)
        assert caller.core.core_users_me_retrieve().user.username == "clerk"
        if identifier == "revoked":
            own.core_tokens_destroy(identifier)
        else:
            soon = datetime.now(timezone.utc) + timedelta(seconds=1)
            own.core_tokens_partial_update(identifier, ak.PatchedTokenRequest(expires=soon))
            while datetime.now(timezone.utc) <= soon + timedelta(seconds=1):
                sleep(0.1)
        refused(401, caller.core.core_users_me_retrieve)
        refused(401, caller.core.core_users_list)
        refused(401, caller.rbac.rbac_roles_create, ak.RoleRequest(name="by-nobody"))
    ok("tokens that end")


def users():
    core = admin.core
    bob = core.core_users_list(username="bob").results[0]
    request = ak.UserRequest(
        username="erin",
        name="Erin Ernst",
        email="erin@example.com",
        attributes={"title": "engineer"},
        groups=[core.core_groups_list(name="engineering").results[0].pk],
        roles=[admin.rbac.rbac_roles_list(name="auditor").results[0].pk],
    )
    erin = core.core_users_create(request)
    assert erin.type == ak.UserTypeEnum.INTERNAL and erin.is_active and not erin.is_superuser, erin
    assert [group.name for group in erin.groups_obj] == ["engineering"], erin
    assert [role.name for role in erin.roles_obj] == ["auditor"], erin
    assert core.core_users_retrieve(erin.pk) == erin

    # Lists: pages, order, search, filters.
    total = core.core_users_list().pagination.count
    pages = [core.core_users_list(page=page, page_size=3, ordering="username") for page in (1, 2)]
    is_page(pages[0], total, 1, -(-total // 3), 1, 3)
    is_page(pages[1], total, 2, -(-total // 3), 4, 6)
    everybody = names(core.core_users_list(page_size=100, ordering="username"), "username")
    assert everybody == sorted(everybody) and len(everybody) == total, everybody
    assert names(pages[0], "username") + names(pages[1], "username") == everybody[:6]
    assert names(core.core_users_list(page_size=100, ordering="-username"), "username") == everybody[::-1]
    for field in ("pk", "name", "email", "is_active", "type", "date_joined", "last_updated", "last_login", "uuid"):
        core.core_users_list(ordering=field)
    said("ordering", refused(400, core.core_users_list, ordering="colour"))
    refused(404, core.core_users_list, page=total + 1)

    def found(**filters):
        return sorted(names(core.core_users_list(page_size=100, **filters), "username"))

    people = ["alice", "bob", "erin"]
    machines = sorted(set(everybody) - set(people))
    parts = [name for name in everybody if name.startswith("bindery:")]
    assert found(search="ERNST") == ["erin"] and found(search="erin@example.com") == ["erin"]
    assert found(username="Erin") == ["erin"] and found(name="Erin Ernst") == ["erin"]
    assert found(email="erin@example.com") == ["erin"] and found(uuid=erin.uuid) == ["erin"]
    assert found(attributes='{"title": "engineer"}') == ["erin"] and found(attributes='{"title": "x"}') == []
    said("attributes", refused(400, core.core_users_list, attributes="title=engineer"))
    assert found(type=[ak.UserTypeEnum.INTERNAL.value]) == people
    assert found(type=["internal", "service_account"]) == sorted(set(everybody) - set(parts))
    assert found(type=["internal_service_account"]) == parts and len(parts) == 4 and found(type=["external"]) == []
    assert found(is_superuser=True) == ["admin"] and found(is_superuser=False, search="admin") == []
    assert found(groups_by_name=["engineering"]) == ["alice", "erin"]
    assert found(groups_by_pk=[erin.groups[0]]) == ["alice", "erin"]
    assert found(roles_by_name=["auditor"]) == ["auditor", "erin"]
    assert found(roles_by_pk=[erin.roles[0]]) == ["auditor", "erin"]
    assert found(path="users") == people and found(path_startswith="goauthentik.io/") == machines
    assert found(date_joined=erin.date_joined, username="erin") == ["erin"]
    assert found(date_joined__gt=IN_TWO_DAYS) == [] and found(date_joined__lt=IN_TWO_DAYS) == everybody
    assert found(last_updated=erin.last_updated, username="erin") == ["erin"]
    assert found(last_updated__gt=IN_TWO_DAYS) == [] and found(last_updated__lt=IN_TWO_DAYS) == everybody
    assert "clerk" in found(last_login__isnull=False) and "erin" in found(last_login__isnull=True)
    assert "clerk" in found(last_login__gt=LONG_AGO) and found(last_login__lt=LONG_AGO) == []
    assert found(last_login=LONG_AGO) == []
    bare = core.core_users_list(username="erin", include_groups=False, include_roles=False).results[0]
    assert bare.groups_obj is None and bare.roles_obj is None and bare.groups == erin.groups, bare
    assert core.core_users_paths_retrieve(search="service").paths == ["goauthentik.io/service-accounts"]
    is_page(stranger.core.core_users_list(), 0, 1, 1, 0, 0)
    refused(404, stranger.core.core_users_retrieve, erin.pk)
    refused(404, core.core_users_retrieve, NOBODY)

    # Changes.
    changed = core.core_users_partial_update(erin.pk, ak.PatchedUserRequest(is_active=False))
    assert not changed.is_active and changed.email == erin.email and changed.groups == erin.groups, changed
    assert found(is_active=False) == ["erin"]
    whole = ak.UserRequest(username="erin", name="Erin E.", is_active=True, groups=[], roles=[])
    changed = core.core_users_update(erin.pk, whole)
    assert changed.name == "Erin E." and changed.is_active and changed.groups == [], changed
    patch = ak.PatchedUserRequest(name="Nobody")
    forbidden("authentik_core.change_user", auditor.core.core_users_partial_update, erin.pk, patch)
    refused(404, stranger.core.core_users_partial_update, erin.pk, patch)
    forbidden("authentik_core.add_user", auditor.core.core_users_create, request)
    taken = ak.UserRequest(username="BOB", name="Bob again")
    said("username", refused(400, core.core_users_create, taken))
    rename = ak.PatchedUserRequest(username="bob")
    said("username", refused(400, core.core_users_partial_update, erin.pk, rename))
    said("groups", refused(400, core.core_users_create, ak.UserRequest(username="x", name="x", groups=[uuid4()])))
    said("roles", refused(400, core.core_users_create, ak.UserRequest(username="x", name="x", roles=[uuid4()])))
    said("username", refused(400, core.core_users_create, ak.UserRequest(username="a,b\x00", name="x")))
    long = ak.UserRequest.model_construct(username="x" * 151, name="x")
    said("username", refused(400, core.core_users_create, long))
    internal = ak.UserRequest(username="x", name="x", type=ak.UserTypeEnum.INTERNAL_SERVICE_ACCOUNT)
    said("type", refused(400, core.core_users_create, internal))

    # Passwords: of people only.
    password = ak.UserPasswordSetRequest(password="Erin's new password")
    core.core_users_set_password_create(erin.pk, password)
    assert may_bind("erin", password.password), "the password opens LDAP"
    forbidden("authentik_core.reset_user_password", auditor.core.core_users_set_password_create, erin.pk, password)
    refused(404, stranger.core.core_users_set_password_create, erin.pk, password)
    portal = core.core_users_list(username="portal").results[0].pk
    said("service account", refused(403, core.core_users_set_password_create, portal, password))
    hash_of_it = ak.UserPasswordHashSetRequest(
        password="pbkdf2_sha256$1000$c2FsdHNhbHQ$2oMnxJ9e2pbiTCjMG8oOS3WMzHwAbdPhEDDCmeRc5ds="
    )
    set_hash = auditor.core.core_users_set_password_hash_create
    forbidden("authentik_core.reset_user_password", set_hash, bob.pk, hash_of_it)
    moved, salt = "the password of another directory", b"salt"
    digest = base64.b64encode(hashlib.sha1(moved.encode() + salt).digest() + salt).decode()
    core.core_users_set_password_hash_create(erin.pk, ak.UserPasswordHashSetRequest(password="{SSHA}" + digest))
    assert may_bind("erin", moved) and not may_bind("erin", password.password)
    broken = ak.UserPasswordHashSetRequest(password="no hash at all")
    said("password", refused(400, core.core_users_set_password_hash_create, bob.pk, broken))

    # The end of it.
    used_by = core.core_users_used_by_list(core.core_users_list(username="made-forever").results[0].pk)
    assert [(used.model_name, used.name) for used in used_by] == [("token", "made-forever-app-password")], used_by
    forbidden("authentik_core.delete_user", auditor.core.core_users_destroy, erin.pk)
    refused(404, stranger.core.core_users_destroy, erin.pk)
    core.core_users_destroy(erin.pk)
    refused(404, core.core_users_retrieve, erin.pk)
    refused(404, core.core_users_destroy, erin.pk)
    assert not may_bind("erin", password.password)
    ok("users")


def groups():
    core = admin.core
    alice, bob = (core.core_users_list(username=name).results[0].pk for name in ("alice", "bob"))
    auditors = admin.rbac.rbac_roles_list(name="auditor").results[0].pk
    request = ak.GroupRequest(name="above", users=[alice], roles=[auditors], attributes={"description": "upper"})
    above = core.core_groups_create(request)
    assert above.users == [alice] and [user.username for user in above.users_obj] == ["alice"], above
    assert [role.name for role in above.roles_obj] == ["auditor"] and above.children == [], above
    below = core.core_groups_create(ak.GroupRequest(name="below", parents=[above.pk]))
    assert below.parents == [above.pk] and below.parents_obj[0].name == "above", below
    assert [role.name for role in below.inherited_roles_obj] == ["auditor"], below

    core.core_groups_add_user_create(below.pk, ak.UserAccountRequest(pk=bob))
    shown = core.core_groups_retrieve(
        above.pk, include_children=True, include_inherited_roles=True, include_parents=True, include_users=True
    )
    assert shown.children == [below.pk] and shown.children_obj[0].name == "below", shown
    bare = core.core_groups_retrieve(below.pk, include_users=False)
    assert bare.users == [bob] and bare.users_obj is None and bare.parents_obj is None, bare

    def found(**filters):
        return names(core.core_groups_list(page_size=100, ordering="name", **filters), "name")

    everything = found()
    assert everything == sorted(everything) and {"above", "below", "admins", "engineering"} <= set(everything)
    assert found(search="ABO") == ["above"] and found(name="above") == ["above"] and found(name="abo") == []
    assert found(is_superuser=True) == ["admins"] and "admins" not in found(is_superuser=False)
    assert found(members_by_pk=[bob]) == ["below"] and found(members_by_username=["bob"]) == ["below"]
    assert found(members_by_username=["alice", "bob"]) == ["above", "below", "engineering"]
    assert found(attributes='{"description": "upper"}') == ["above"]
    said("attributes", refused(400, core.core_groups_list, attributes="upper"))
    is_page(core.core_groups_list(page=2, page_size=1), len(everything), 2, len(everything), 2, 2)
    for field in ("-name", "num_pk", "pk", "is_superuser"):
        core.core_groups_list(ordering=field)
    said("ordering", refused(400, core.core_groups_list, ordering="colour"))
    is_page(stranger.core.core_groups_list(), 0, 1, 1, 0, 0)
    refused(404, stranger.core.core_groups_retrieve, above.pk)
    refused(404, core.core_groups_retrieve, uuid4())

    member = ak.UserAccountRequest(pk=bob)
    add, remove = auditor.core.core_groups_add_user_create, auditor.core.core_groups_remove_user_create
    forbidden("authentik_core.add_user_to_group", add, above.pk, member)
    forbidden("authentik_core.remove_user_from_group", remove, below.pk, member)
    refused(404, stranger.core.core_groups_add_user_create, above.pk, member)
    refused(404, stranger.core.core_groups_remove_user_create, below.pk, member)
    refused(404, core.core_groups_add_user_create, above.pk, ak.UserAccountRequest(pk=NOBODY))
    refused(404, core.core_groups_remove_user_create, above.pk, ak.UserAccountRequest(pk=NOBODY))
    core.core_groups_remove_user_create(below.pk, member)
    assert core.core_groups_retrieve(below.pk).users == []

    changed = core.core_groups_partial_update(above.pk, ak.PatchedGroupRequest(users=[alice, bob]))
    assert sorted(changed.users) == sorted([alice, bob]) and changed.name == "above", changed
    assert core.core_groups_update(above.pk, ak.GroupRequest(name="upper")).name == "upper"
    patch = ak.PatchedGroupRequest(name="mine")
    forbidden("authentik_core.change_group", auditor.core.core_groups_partial_update, above.pk, patch)
    refused(404, stranger.core.core_groups_partial_update, above.pk, patch)
    forbidden("authentik_core.add_group", auditor.core.core_groups_create, ak.GroupRequest(name="mine"))
    said("superuser", refused(403, clerk.core.core_groups_create, ak.GroupRequest(name="m", is_superuser=True)))
    said("name", refused(400, core.core_groups_create, ak.GroupRequest(name="Engineering")))
    rename = ak.PatchedGroupRequest(name="engineering")
    said("name", refused(400, core.core_groups_partial_update, above.pk, rename))
    round_about = ak.PatchedGroupRequest(parents=[below.pk])
    assert refused(400, core.core_groups_partial_update, above.pk, round_about)
    said("parents", refused(400, core.core_groups_create, ak.GroupRequest(name="m", parents=[uuid4()])))

    used_by = {(used.model_name, used.name) for used in core.core_groups_used_by_list(above.pk)}
    assert used_by == {("user", "alice"), ("user", "bob"), ("group", "below")}, used_by
    forbidden("authentik_core.delete_group", auditor.core.core_groups_destroy, below.pk)
    refused(404, stranger.core.core_groups_destroy, below.pk)
    core.core_groups_destroy(below.pk)
    refused(404, core.core_groups_retrieve, below.pk)
    ok("groups")


def roles_and_grants():
    rbac = admin.rbac
    made = admin.core.core_users_list(username="made").results[0].pk
    role = rbac.rbac_roles_create(ak.RoleRequest(name="helpers"))
    assert rbac.rbac_roles_retrieve(role.pk) == role
    member = ak.UserAccountSerializerForRoleRequest(pk=made)
    rbac.rbac_roles_add_user_create(role.pk, member)
    assert names(rbac.rbac_roles_list(users=made), "name") == ["helpers"]

    everything = names(rbac.rbac_roles_list(ordering="name"), "name")
    assert everything == ["auditor", "clerk", "helpers", "ldap-search"], everything
    assert names(rbac.rbac_roles_list(ordering="-name", page=2, page_size=3), "name") == ["auditor"]
    is_page(rbac.rbac_roles_list(page=2, page_size=3), 4, 2, 2, 4, 4)
    assert names(rbac.rbac_roles_list(search="HELP"), "name") == ["helpers"]
    assert names(rbac.rbac_roles_list(name="helpers"), "name") == ["helpers"]
    upper = admin.core.core_groups_list(name="upper").results[0].pk
    lower = admin.core.core_groups_create(ak.GroupRequest(name="lower", parents=[upper])).pk
    assert names(rbac.rbac_roles_list(groups=upper), "name") == ["auditor"]
    assert names(rbac.rbac_roles_list(groups=lower), "name") == []
    assert names(rbac.rbac_roles_list(groups=lower, inherited=True), "name") == ["auditor"]
    assert names(rbac.rbac_roles_list(managed=["goauthentik.io/x"]), "name") == []
    assert len(rbac.rbac_roles_list(managed__isnull=True).results) == 4
    said("ordering", refused(400, rbac.rbac_roles_list, ordering="colour"))
    is_page(stranger.rbac.rbac_roles_list(), 0, 1, 1, 0, 0)
    refused(404, stranger.rbac.rbac_roles_retrieve, role.pk)

    patch = ak.PatchedRoleRequest(name="aides")
    forbidden("authentik_rbac.change_role", auditor.rbac.rbac_roles_partial_update, role.pk, patch)
    refused(404, stranger.rbac.rbac_roles_partial_update, role.pk, patch)
    assert rbac.rbac_roles_partial_update(role.pk, patch).name == "aides"
    assert rbac.rbac_roles_update(role.pk, ak.RoleRequest(name="helpers")).name == "helpers"
    forbidden("authentik_rbac.add_role", auditor.rbac.rbac_roles_create, ak.RoleRequest(name="mine"))
    said("name", refused(400, rbac.rbac_roles_create, ak.RoleRequest(name="Helpers")))
    forbidden("authentik_rbac.change_role", auditor.rbac.rbac_roles_add_user_create, role.pk, member)
    forbidden("authentik_rbac.change_role", auditor.rbac.rbac_roles_remove_user_create, role.pk, member)

    # What can be allowed.
    search = rbac.rbac_permissions_list(codename="search_full_directory").results
    assert [permission.app_label for permission in search] == ["authentik_providers_ldap"], search
    assert rbac.rbac_permissions_retrieve(search[0].id) == search[0]
    refused(404, rbac.rbac_permissions_retrieve, 9_999)
    of_tokens = rbac.rbac_permissions_list(content_type__app_label="authentik_core", content_type__model="token")
    assert "view_token_key" in names(of_tokens, "codename") and "view_user" not in names(of_tokens, "codename")
    assert names(rbac.rbac_permissions_list(search="full"), "codename") == ["search_full_directory"]
    ordered = names(rbac.rbac_permissions_list(ordering="codename", page_size=100), "codename")
    assert ordered == sorted(ordered)

    # Grants: a right is there as soon as it is granted, and gone as soon as it is taken.
    made_api = admin.core.core_tokens_create(ak.TokenRequest(identifier="made-api", user=made))
    helper = Caller(admin.core.core_tokens_view_key_retrieve(made_api.identifier).key)
    assert helper.core.core_users_me_retrieve().user.username == "made"
    assign, take = rbac.rbac_permissions_assigned_by_roles_assign, (
        rbac.rbac_permissions_assigned_by_roles_unassign_partial_update
    )
    add_role = ak.PermissionAssignRequest(permissions=["authentik_rbac.add_role", "authentik_rbac.view_role"])
    forbidden("authentik_rbac.add_role", helper.rbac.rbac_roles_create, ak.RoleRequest(name="theirs"))
    [first, second] = assign(role.pk, add_role)
    assert first.id != second.id, (first, second)
    theirs = helper.rbac.rbac_roles_create(ak.RoleRequest(name="theirs"))
    assert set(names(rbac.rbac_permissions_list(role=str(role.pk)), "codename")) == {"add_role", "view_role"}
    assert take(role.pk, ak.PatchedPermissionAssignRequest(permissions=["authentik_rbac.add_role"])) is None
    forbidden("authentik_rbac.add_role", helper.rbac.rbac_roles_create, ak.RoleRequest(name="more"))
    # Creating it gave its creator what there is to hold on it, and nothing on the others.
    helper.rbac.rbac_roles_destroy(theirs.pk)
    forbidden("authentik_rbac.delete_role", helper.rbac.rbac_roles_destroy, role.pk)

    # On one object.
    bob = admin.core.core_users_list(username="bob").results[0].pk
    on_bob = {"model": ak.ModelEnum.AUTHENTIK_CORE_DOT_USER, "object_pk": str(bob)}
    refused(404, helper.core.core_users_retrieve, bob)
    assign(role.pk, ak.PermissionAssignRequest(permissions=["authentik_core.view_user"], **on_bob))
    assert helper.core.core_users_retrieve(bob).username == "bob"
    assert names(helper.core.core_users_list(), "username") == ["bob"]
    [granted] = rbac.rbac_permissions_roles_list(uuid=role.pk).results
    assert (granted.codename, granted.object_pk, granted.object_description) == ("view_user", str(bob), "bob")
    holders = rbac.rbac_permissions_assigned_by_roles_list("authentik_core.user", object_pk=str(bob), search="help")
    [holder] = holders.results
    assert holder.name == "helpers" and names_of(holder.object_permissions) == ["view_user"], holder
    assert holder.model_permissions == [], holder
    [holder] = rbac.rbac_permissions_assigned_by_roles_list("authentik_rbac.role").results[:1]
    assert names_of(holder.model_permissions), holder
    take(role.pk, ak.PatchedPermissionAssignRequest(permissions=["authentik_core.view_user"], **on_bob))
    refused(404, helper.core.core_users_retrieve, bob)

    # What cannot be granted.
    said("permissions", refused(400, assign, role.pk, ak.PermissionAssignRequest(permissions=["authentik_core.fly"])))
    nobody = {"model": ak.ModelEnum.AUTHENTIK_CORE_DOT_USER, "object_pk": str(NOBODY)}
    view_nobody = ak.PermissionAssignRequest(permissions=["authentik_core.view_user"], **nobody)
    said("object_pk", refused(400, assign, role.pk, view_nobody))
    other_model = {"model": ak.ModelEnum.AUTHENTIK_CORE_DOT_GROUP, "object_pk": str(upper)}
    view_user = ak.PermissionAssignRequest(permissions=["authentik_core.view_user"], **other_model)
    assert refused(400, assign, role.pk, view_user)
    refused(404, assign, uuid4(), add_role)
    of_auditor = auditor.rbac.rbac_permissions_assigned_by_roles_assign
    forbidden("authentik_rbac.assign_role_permissions", of_auditor, role.pk, add_role)
    refused(404, stranger.rbac.rbac_permissions_assigned_by_roles_assign, role.pk, add_role)
    # Whoever may not grant learns nothing of what it names: whether there is such an account.
    forbidden("authentik_rbac.assign_role_permissions", of_auditor, role.pk, view_nobody)
    refused(404, stranger.rbac.rbac_permissions_assigned_by_roles_assign, role.pk, view_nobody)
    delegate = ak.PermissionAssignRequest(permissions=["authentik_rbac.assign_role_permissions"])
    assign(role.pk, delegate)
    more = ak.PermissionAssignRequest(permissions=["authentik_core.delete_user"])
    detail = refused(403, helper.rbac.rbac_permissions_assigned_by_roles_assign, role.pk, more)
    assert "`authentik_core.delete_user`" in detail, detail

    used_by = rbac.rbac_roles_used_by_list(role.pk)
    assert [(used.model_name, used.name) for used in used_by] == [("user", "made")], used_by
    rbac.rbac_roles_remove_user_create(role.pk, member)
    assert rbac.rbac_roles_used_by_list(role.pk) == []
    forbidden("authentik_rbac.delete_role", auditor.rbac.rbac_roles_destroy, role.pk)
    rbac.rbac_roles_destroy(role.pk)
    refused(404, rbac.rbac_roles_retrieve, role.pk)
    ok("roles and grants")


def names_of(permissions):
    return [permission.codename for permission in permissions]


def events():
    trail = auditor.events
    custom = ak.EventRequest(action=ak.EventActions.CUSTOM, app="the wiki", context={"page": "start"})
    noted = admin.events.events_events_create(custom)
    assert noted.action == ak.EventActions.CUSTOM and noted.user["username"] == "admin", noted
    assert trail.events_events_retrieve(noted.pk) == noted
    forbidden("authentik_events.add_event", auditor.events.events_events_create, custom)
    login = ak.EventRequest(action=ak.EventActions.LOGIN, app="the wiki")
    said("action", refused(400, admin.events.events_events_create, login))
    refused(404, trail.events_events_retrieve, uuid4())

    # Logins are counted, and their events written, beside all this: pages are cut from others.
    of_clerk = {"username": "clerk", "action": "model_created", "page_size": 5}
    total = trail.events_events_list(**of_clerk).pagination.count
    newest = trail.events_events_list(**of_clerk)
    oldest = trail.events_events_list(ordering="created", **of_clerk)
    is_page(newest, total, 1, -(-total // 5), 1, 5)
    assert newest.results[0].created >= newest.results[4].created >= oldest.results[4].created
    assert trail.events_events_list(ordering="-created", **of_clerk).results == newest.results
    assert trail.events_events_list(page=2, **of_clerk).results[0] not in newest.results
    refused(404, trail.events_events_list, page=total, **of_clerk)
    said("ordering", refused(400, trail.events_events_list, ordering="colour"))

    def found(**filters):
        return trail.events_events_list(page_size=100, **filters).results

    views = found(action="secret_view", username="clerk")
    viewed = [event.context["model"]["name"] for event in views]
    assert sorted(viewed) == ["expired", "made-second", "revoked"], viewed
    assert all(event.action == ak.EventActions.SECRET_VIEW for event in views)
    some = found(actions=[ak.EventActions.CUSTOM, ak.EventActions.PASSWORD_SET])
    assert {event.action.value for event in some} == {"custom_", "password_set"}, some
    assert found(action="impersonation_started") == [] and found(username="nobody-of-this-name") == []
    assert [event.pk for event in found(search="start", action="custom_")] == [noted.pk]
    made = admin.core.core_users_list(username="made").results[0]
    of_made = found(
        context_model_app="authentik_core", context_model_name="user", context_model_pk=str(made.pk)
    )
    assert of_made and all(event.context["model"]["name"] == "made" for event in of_made), of_made
    assert found(context_model_app="authentik_rbac", context_model_name="user") == []
    assert noted.pk in {event.pk for event in found(client_ip="127.0.0.1", action="custom_")}
    assert found(client_ip="192.0.2.1") == [] and found(context_authorized_app="none") == []
    assert found(brand_name="authentik-default") == [] and found(context_device="none") == []
    said("client_ip", refused(400, trail.events_events_list, client_ip="here"))

    actions = {action.component for action in trail.events_events_actions_list()}
    assert {"login", "secret_view", "custom_"} <= actions, actions
    volume = trail.events_events_volume_list(action="custom_", history_days=2)
    assert sum(span.count for span in volume) == 1, volume
    assert isinstance(trail.events_events_top_per_user_list(top_n=3), list)
    stats = trail.events_events_stats_retrieve(count_steps=["hours=24", "days=7"], action="custom_")
    assert (stats.unique_users, stats.count_step) == (1, {"hours24": 1, "days7": 1}), stats
    said("count_steps", refused(400, trail.events_events_stats_retrieve, count_steps=["24d"]))
    for caller in (clerk, stranger):
        forbidden("authentik_events.view_event", caller.events.events_events_list)
        forbidden("authentik_events.view_event", caller.events.events_events_retrieve, noted.pk)
        forbidden("authentik_events.view_event", caller.events.events_events_volume_list)
        forbidden("authentik_events.view_event", caller.events.events_events_top_per_user_list)
        forbidden("authentik_events.view_event", caller.events.events_events_stats_retrieve, ["days=7"])
    ok("events")


def providers():
    api = admin.providers
    flow = uuid4()
    request = ak.LDAPProviderRequest(
        name="second",
        authorization_flow=flow,
        invalidation_flow=flow,
        base_dn="dc=second,dc=example,dc=com",
        search_mode=ak.LDAPAPIAccessMode.CACHED,
        bind_mode=ak.LDAPAPIAccessMode.CACHED,
    )
    made = api.providers_ldap_create(request)
    assert made.base_dn == "dc=second,dc=example,dc=com" and made.assigned_application_slug is None, made
    assert api.providers_ldap_retrieve(made.pk) == made
    assert names(api.providers_ldap_list(search="second"), "name") == ["second"]
    assert names(api.providers_ldap_list(ordering="-name"), "name") == ["second", "ldap"]
    assert names(api.providers_ldap_list(name__iexact="LDAP"), "name") == ["ldap"]
    assert names(api.providers_ldap_list(base_dn__iexact="dc=second,dc=example,dc=com"), "name") == ["second"]
    is_page(api.providers_ldap_list(page=2, page_size=1), 2, 2, 2, 2, 2)
    assert names(api.providers_all_list(search="second"), "name") == ["second"]
    assert api.providers_all_retrieve(made.pk).component == made.component
    assert any(kind.component == made.component for kind in api.providers_all_types_list())
    is_page(stranger.providers.providers_ldap_list(), 0, 1, 1, 0, 0)
    refused(404, stranger.providers.providers_ldap_retrieve, made.pk)
    refused(404, api.providers_ldap_retrieve, NOBODY)
    assert api.providers_all_used_by_list(made.pk) == []
    short = ak.LDAPProviderRequest(
        name="short", authorization_flow=flow, invalidation_flow=flow, base_dn="dc=short,dc=example"
    )
    short = api.providers_ldap_create(short).pk
    api.providers_all_destroy(short)
    refused(404, api.providers_all_retrieve, short)

    patch = ak.PatchedLDAPProviderRequest(name="third")
    assert api.providers_ldap_partial_update(made.pk, patch).name == "third"
    assert api.providers_ldap_update(made.pk, request).name == "second"
    auditors = auditor.providers
    forbidden("authentik_providers_ldap.change_ldapprovider", auditors.providers_ldap_partial_update, made.pk, patch)
    forbidden("authentik_providers_ldap.add_ldapprovider", auditors.providers_ldap_create, request)
    forbidden("authentik_providers_ldap.delete_ldapprovider", auditors.providers_ldap_destroy, made.pk)
    refused(404, stranger.providers.providers_ldap_destroy, made.pk)
    said("name", refused(400, api.providers_ldap_create, request))
    wrong = ak.PatchedLDAPProviderRequest(base_dn="no name of anything")
    said("base_dn", refused(400, api.providers_ldap_partial_update, made.pk, wrong))
    assert isinstance(api.providers_ldap_used_by_list(made.pk), list)
    ok("providers")


def applications():
    core = admin.core
    provider = admin.providers.providers_ldap_list(search="second").results[0].pk
    request = ak.ApplicationRequest(
        name="The wiki", slug="wiki", provider=provider, policy_engine_mode=ak.PolicyEngineMode.ANY, group="tools"
    )
    wiki = core.core_applications_create(request)
    assert wiki.provider == provider and wiki.provider_obj.assigned_application_slug == "wiki", wiki
    assert core.core_applications_retrieve("wiki") == wiki
    core.core_applications_create(ak.ApplicationRequest(name="Mail", slug="mail"))
    assert names(core.core_applications_list(superuser_full_list=True, ordering="slug"), "slug") == ["mail", "wiki"]
    assert names(core.core_applications_list(search="THE", superuser_full_list=True), "slug") == ["wiki"]
    assert names(core.core_applications_list(slug="mail", superuser_full_list=True), "slug") == ["mail"]
    assert names(core.core_applications_list(group="tools", superuser_full_list=True), "slug") == ["wiki"]
    is_page(core.core_applications_list(page=2, page_size=1, superuser_full_list=True), 2, 2, 2, 2, 2)
    refused(404, stranger.core.core_applications_retrieve, "wiki")
    refused(404, core.core_applications_retrieve, "no-such-application")

    patch = ak.PatchedApplicationRequest(meta_description="what we know")
    assert core.core_applications_partial_update("wiki", patch).meta_description == "what we know"
    assert core.core_applications_update("wiki", request).name == "The wiki"
    forbidden("authentik_core.change_application", auditor.core.core_applications_partial_update, "wiki", patch)
    forbidden("authentik_core.add_application", auditor.core.core_applications_create, request)
    forbidden("authentik_core.delete_application", auditor.core.core_applications_destroy, "wiki")
    refused(404, stranger.core.core_applications_destroy, "wiki")
    said("slug", refused(400, core.core_applications_create, ak.ApplicationRequest(name="Mail again", slug="mail")))
    of_nobody = ak.ApplicationRequest(name="x", slug="x", provider=NOBODY)
    said("provider", refused(400, core.core_applications_create, of_nobody))
    of_odd_slug = ak.ApplicationRequest.model_construct(name="x", slug="white space")
    said("slug", refused(400, core.core_applications_create, of_odd_slug))

    # Who may use it: nobody is bound, then one group is.
    group = core.core_groups_list(name="engineering").results[0].pk
    alice, bob = (core.core_users_list(username=name).results[0].pk for name in ("alice", "bob"))
    policies = admin.policies
    bound = policies.policies_bindings_create(ak.PolicyBindingRequest(group=group, target=wiki.pbm_uuid, order=0))
    assert bound.group_obj.name == "engineering" and bound.enabled and not bound.negate, bound
    assert policies.policies_bindings_retrieve(bound.pk) == bound
    check = core.core_applications_check_access_retrieve
    assert check("wiki", for_user=alice).passing and not check("wiki", for_user=bob).passing
    other = policies.policies_bindings_create(ak.PolicyBindingRequest(user=bob, target=wiki.pbm_uuid, order=1))
    assert check("wiki", for_user=bob).passing
    both = policies.policies_bindings_list(target=wiki.pbm_uuid, ordering="order")
    assert names(both, "pk") == [bound.pk, other.pk], both
    assert names(policies.policies_bindings_list(order=1), "pk") == [other.pk]
    assert names(policies.policies_bindings_list(target=wiki.pbm_uuid, enabled=False), "pk") == []
    is_page(stranger.policies.policies_bindings_list(), 0, 1, 1, 0, 0)
    patch = ak.PatchedPolicyBindingRequest(enabled=False)
    assert policies.policies_bindings_partial_update(other.pk, patch).enabled is False
    assert not check("wiki", for_user=bob).passing
    whole = ak.PolicyBindingRequest(user=other.user, target=wiki.pbm_uuid, order=3, enabled=False)
    assert policies.policies_bindings_update(other.pk, whole).order == 3
    assert policies.policies_bindings_used_by_list(other.pk) == []
    auditors = auditor.policies
    forbidden("authentik_policies.change_policybinding", auditors.policies_bindings_partial_update, bound.pk, patch)
    forbidden("authentik_policies.delete_policybinding", auditors.policies_bindings_destroy, bound.pk)
    again = ak.PolicyBindingRequest(user=alice, target=wiki.pbm_uuid, order=2)
    forbidden("authentik_policies.add_policybinding", auditors.policies_bindings_create, again)
    refused(404, stranger.policies.policies_bindings_retrieve, bound.pk)
    nowhere = ak.PolicyBindingRequest(user=alice, target=uuid4(), order=2)
    said("target", refused(400, policies.policies_bindings_create, nowhere))
    policies.policies_bindings_destroy(other.pk)
    refused(404, policies.policies_bindings_retrieve, other.pk)

    # What an outpost reads.
    config = admin.outposts.outposts_ldap_list(search="second").results[0]
    assert config.application_slug == "wiki" and config.base_dn == "dc=second,dc=example,dc=com", config
    access = admin.outposts.outposts_ldap_access_check(provider, app_slug="wiki")
    assert access.has_search_permission and not access.access.passing, access

    used_by = core.core_applications_used_by_list("wiki")
    assert all(isinstance(used.name, str) for used in used_by), used_by
    core.core_applications_destroy("wiki")
    refused(404, core.core_applications_retrieve, "wiki")
    refused(404, policies.policies_bindings_retrieve, bound.pk)
    admin.providers.providers_ldap_destroy(provider)
    refused(404, admin.providers.providers_ldap_retrieve, provider)
    ok("applications")


def certificates_and_the_server():
    crypto = admin.crypto
    [pair] = crypto.crypto_certificatekeypairs_list().results
    assert crypto.crypto_certificatekeypairs_retrieve(pair.pk) == pair
    data = crypto.crypto_certificatekeypairs_view_certificate_retrieve(pair.pk).data
    assert data.startswith("-----BEGIN CERTIFICATE-----"), data
    refused(403, crypto.crypto_certificatekeypairs_view_private_key_retrieve, pair.pk)
    assert all(used.model_name == "ldapprovider" for used in crypto.crypto_certificatekeypairs_used_by_list(pair.pk))
    is_page(stranger.crypto.crypto_certificatekeypairs_list(), 0, 1, 1, 0, 0)
    refused(404, stranger.crypto.crypto_certificatekeypairs_retrieve, pair.pk)
    refused(404, crypto.crypto_certificatekeypairs_retrieve, uuid4())

    assert clerk.admin.admin_version_retrieve().version_current
    assert admin.admin.admin_system_retrieve().runtime
    assert isinstance(admin.admin.admin_version_history_list(), list)
    forbidden("authentik_rbac.view_system_info", clerk.admin.admin_system_retrieve)
    assert Caller(None).root.root_config_retrieve().error_reporting is not None
    ok("certificates and the server")


def what_is_not_there():
    """Parts of authentik that bindery has not say so."""
    flows = ak.FlowsApi(admin.core.api_client)
    said("bindery", refused(404, flows.flows_instances_list))
    said("bindery", refused(404, ak.SourcesApi(admin.core.api_client).sources_all_list))
    ok("what is not there")


for step in (
    credentials,
    service_accounts,
    tokens,
    tokens_that_end,
    users,
    groups,
    roles_and_grants,
    events,
    providers,
    applications,
    certificates_and_the_server,
    what_is_not_there,
):
    step()
for operation in sorted(Client.done):
    print("done:", operation)
