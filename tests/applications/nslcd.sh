#!/usr/bin/env bash
# nslcd with its modules for name look-ups and for PAM, in a mount namespace of its own: the machine's
# /etc/nsswitch.conf, /etc/pam.d and /run are covered here and stay as they are everywhere else. Is run by
# `unshare --mount`; the variables are those of tests/support/example.rs, and UNPACKED, where the two modules lie.
set -euo pipefail

directory=$1
cd "$directory"
mkdir -p pam.d
cat >nsswitch.conf <<'CONF'
passwd: files ldap
group: files ldap
shadow: files
hosts: files
CONF
cat >pam.d/bindery-test <<CONF
auth required $(find "$UNPACKED" -name pam_ldap.so)
account required pam_permit.so
CONF
# Read by nslcd alone; the namespace is root's.
cat >nslcd.conf <<CONF
uri $LDAP_URL
base $BASE
binddn $SEARCHER
bindpw $SEARCHER_SECRET
ssl start_tls
tls_reqcert demand
tls_cacertfile $CA_FILE
filter passwd (objectClass=posixAccount)
filter group (objectClass=posixGroup)
pam_authc_search NONE
CONF
chmod 600 nslcd.conf

mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/nslcd
mount --bind nsswitch.conf /etc/nsswitch.conf
mount --bind nslcd.conf /etc/nslcd.conf
mount --bind pam.d /etc/pam.d

# nslcd runs in the foreground (-n), so that it is a child of this script and ends with it.
nslcd -n >nslcd.log 2>&1 &
nslcd=$!
stop() {
	kill "$nslcd" 2>/dev/null || true
	wait "$nslcd" 2>/dev/null || true
	sed 's/^/nslcd: /' nslcd.log >&2
}
trap stop EXIT
for _ in $(seq 200); do
	[ -S /run/nslcd/socket ] && break
	kill -0 "$nslcd" || { echo "nslcd has ended" >&2; exit 1; }
	sleep 0.05
done

LD_LIBRARY_PATH=$(dirname "$(find "$UNPACKED" -name libnss_ldap.so.2)")
export LD_LIBRARY_PATH

echo "passwd: $(getent passwd alice)"
echo "by number: $(getent passwd 7007 | cut -d: -f1)"
echo "group: $(getent group engineering)"
echo "groups: $(id -Gn alice)"
! getent passwd nobody-of-that-name || { echo "an account that is not there was found" >&2; exit 1; }

authenticate() {
	printf '%s\n' "$2" | pamtester bindery-test "$1" authenticate
}
authenticate alice "$PERSON_PASSWORD"
! authenticate alice wrong || { echo "a wrong password was accepted" >&2; exit 1; }
# Has no password at all.
! authenticate carol "" || { echo "an empty password was accepted" >&2; exit 1; }
echo "authenticated"
