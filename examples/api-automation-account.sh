#!/usr/bin/env bash
# A worked example: the account with which a pipeline calls the HTTP API. Its job is to put people on call and to take
# them off again, which is to say, into the group `on-call` and out of it. It can do nothing else.
#
#     bindery serve --config examples/minimal.toml        # in another terminal
#     bash examples/api-automation-account.sh
#
# Another server is told by variables: BINDERY (the command), BINDERY_CONFIG, HTTP_URL, CA_FILE; CLIENT is the directory
# where the pipeline keeps its secret. It needs curl and jq.
set -euo pipefail

bindery=${BINDERY:-bindery}
export BINDERY_CONFIG=${BINDERY_CONFIG:-examples/minimal.toml}
url=${HTTP_URL:-https://localhost:3443}
authority=${CA_FILE:-certs/ca.pem}
client=${CLIENT:-api-client}

# 1. The account. The app password that comes with it is for LDAP, where a pipeline has no business.
"$bindery" account create ci-admin --type service_account --full-name "On-call rota" >/dev/null
"$bindery" token revoke ci-admin-app-password

# 2. An API token. The secret is never an argument of a command, where everybody on the machine could read it: curl
#    takes the header from a file.
umask 077
mkdir -p "$client"
secret=$("$bindery" token create ci-admin-rota --account ci-admin --intent api --expires 90d --description "on-call rota")
printf 'Authorization: Bearer %s\n' "$secret" >"$client/authorization"
unset secret

# 3. What the job needs, on the one group that it is about.
"$bindery" role create on-call-rota
"$bindery" role grant on-call-rota add_user_to_group --on group:on-call
"$bindery" role grant on-call-rota remove_user_from_group --on group:on-call
"$bindery" role add on-call-rota ci-admin

# The API knows objects by their numbers and UUIDs. The operator looks up those that the job is about, so that the
# account need not be allowed to look at anything.
group=$("$bindery" group show on-call --json | jq -r .pk)
alice=$("$bindery" account show alice --json | jq -r .pk)
bob=$("$bindery" account show bob --json | jq -r .pk)
itself=$("$bindery" account show ci-admin --json | jq -r .pk)

# One call: shows its status, and what the server says about it.
call() {
	local what=$1 method=$2 path=$3 body=${4:-}
	local answer=(--silent --show-error --cacert "$authority" --header "@$client/authorization")
	[ -z "$body" ] || answer+=(--header "Content-Type: application/json" --data "$body")
	printf '%s: ' "$what"
	curl "${answer[@]}" --request "$method" --write-out ' %{http_code}\n' "$url/api/v3$path"
}

# 4. It does its job.
echo "allowed:"
call "put bob on call" POST "/core/groups/$group/add_user/" "{\"pk\": $bob}"
call "take alice off call" POST "/core/groups/$group/remove_user/" "{\"pk\": $alice}"
"$bindery" group show on-call

# 5. And nothing else. What it may not see is not there (404), what it may not do is refused (403).
echo "refused:"
call "read an account" GET "/core/users/$alice/"
call "deactivate an account" PATCH "/core/users/$alice/" '{"is_active": false}'
call "set a password" POST "/core/users/$alice/set_password/" '{"password": "not this way"}'
call "delete an account" DELETE "/core/users/$alice/"
call "make an account" POST "/core/users/" '{"username": "mallory", "name": "Mallory"}'
call "make a service account" POST "/core/users/service_account/" '{"name": "mallory"}'
call "delete the group" DELETE "/core/groups/$group/"
call "make superusers of the group" PATCH "/core/groups/$group/" '{"is_superuser": true}'
call "make a group" POST "/core/groups/" '{"name": "mallory"}'
call "make a role" POST "/rbac/roles/" '{"name": "mallory"}'
call "give itself a permission" POST "/rbac/permissions/assigned_by_users/$itself/assign/" '{"permissions": ["authentik_core.view_user"]}'
call "make another token" POST "/core/tokens/" '{"identifier": "mallory", "intent": "api"}'
call "see the secret of a token" GET "/core/tokens/ci-admin-rota/view_key/"
call "write into the audit trail" POST "/events/events/" '{"action": "custom_", "app": "rota"}'

# A list is of what one may see: here it is empty.
echo "shown nothing:"
call "list accounts" GET "/core/users/"

# All of it stands in the audit trail, with the token that was used.
"$bindery" event list --account ci-admin
