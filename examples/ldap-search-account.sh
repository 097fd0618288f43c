#!/usr/bin/env bash
# A worked example: the account with which an application searches for people.
#
#     bindery serve --config examples/minimal.toml        # in another terminal
#     bash examples/ldap-search-account.sh
#
# Another server is told by variables: BINDERY (the command), BINDERY_CONFIG, LDAP_URL, BASE, CA_FILE; CLIENT is the
# directory where the application keeps its configuration.
set -euo pipefail

bindery=${BINDERY:-bindery}
export BINDERY_CONFIG=${BINDERY_CONFIG:-examples/minimal.toml}
url=${LDAP_URL:-ldap://localhost:3391}
base=${BASE:-dc=ldap,dc=example,dc=com}
authority=$(realpath "${CA_FILE:-certs/ca.pem}")
client=${CLIENT:-ldap-client}

# 1. The account. It has no password: what it binds with is an app password, which is shown this once and expires after
#    360 days. On a terminal one reads it; here standard output holds nothing else.
secret=$("$bindery" account create ldapservice --type service_account --full-name "LDAP search for applications")

# 2. The client's configuration, for nobody's eyes but the application's. The secret is never an argument of a command:
#    arguments can be read by everybody on the machine. It has no line end, which `ldapsearch -y` would take for a part
#    of it.
umask 077
mkdir -p "$client"
printf '%s' "$secret" >"$client/secret"
unset secret
cat >"$client/ldaprc" <<END
URI $url
BASE $base
BINDDN cn=ldapservice,ou=users,$base
TLS_CACERT $authority
END
export LDAPRC="$client/ldaprc"

# What the application does: it searches for a person by name. -ZZ is StartTLS, and nothing without it.
search() {
	ldapsearch -x -ZZ -y "$client/secret" -LLL "(uid=$1)" cn mail
}

# 3. Nobody may see anything that was not granted: a new account finds only itself.
echo "before the role, alice is found $(search alice | grep -c '^dn:' || true) times"

# 4. A role that may search this one directory, and the account in it. Whoever joins the role later may do the same; an
#    application that shall see less gets no role at all.
"$bindery" role create ldap-search
"$bindery" role grant ldap-search search_full_directory --on provider:ldap
"$bindery" role add ldap-search ldapservice

# 5. It acts at once, on connections that are open too.
echo "with the role, alice is found $(search alice | grep -c '^dn:' || true) times"
search alice

# Why an account sees what it sees:
"$bindery" access explain ldapservice

# The whole of it again, in one line each: a new secret before the old one expires, and the end of the account.
#
#     bindery token rotate ldapservice-app-password --overlap 24h
#     bindery account delete ldapservice
