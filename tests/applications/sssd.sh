#!/usr/bin/env bash
# SSSD with its modules for name look-ups and for PAM, in a mount namespace of its own. Its packages put themselves
# into the machine's look-ups of names and passwords, so they are only unpacked, in $UNPACKED, and laid over /usr here;
# /etc/nsswitch.conf, /etc/pam.d, /run, /var/lib and /var/log are covered and stay as they are everywhere else.
# Is run by `unshare --mount`; the variables are those of tests/support/example.rs.
set -euo pipefail

directory=$1
cd "$directory"
mkdir -p pam.d
cat >nsswitch.conf <<'CONF'
passwd: files sss
group: files sss
shadow: files
hosts: files
CONF
cat >pam.d/bindery-test <<'CONF'
auth required pam_sss.so
account required pam_sss.so
CONF
cat >sssd.conf <<CONF
[sssd]
services = nss, pam
domains = bindery
user = root
[domain/bindery]
debug_level = 9
id_provider = ldap
auth_provider = ldap
access_provider = permit
ldap_schema = rfc2307bis
ldap_uri = $LDAPS_URL
ldap_search_base = $BASE
ldap_default_bind_dn = $SEARCHER
ldap_default_authtok = $SEARCHER_SECRET
ldap_tls_cacert = $CA_FILE
ldap_tls_reqcert = demand
cache_credentials = false
enumerate = false
# A name may have a backslash and an @ in it.
re_expression = (?P<name>.+)
CONF
chmod 600 sssd.conf

mount --make-rprivate /
if [ -d "$UNPACKED/usr" ] && ! mount -t overlay overlay -o "lowerdir=$UNPACKED/usr:/usr" /usr; then
	echo "skipped: nothing can be laid over /usr here"
	exit 0
fi
for covered in /run /var/log /var/lib; do
	mount -t tmpfs tmpfs "$covered"
done
mkdir -p /var/log/sssd /var/lib/sss/{db,mc,secrets,gpo_cache,deskprofile,pipes/private,pubconf/krb5.include.d}
chmod 700 /var/lib/sss/pipes/private
mount --bind nsswitch.conf /etc/nsswitch.conf
mount --bind pam.d /etc/pam.d

# In the foreground (-i), so that it is a child of this script and ends with it; it ends its own children.
sssd -i -c "$PWD/sssd.conf" >sssd.log 2>&1 &
sssd=$!
stop() {
	kill "$sssd" 2>/dev/null || true
	wait "$sssd" 2>/dev/null || true
	sed 's/^/sssd: /' sssd.log >&2
}
trap stop EXIT
for _ in $(seq 300); do
	[ -S /var/lib/sss/pipes/nss ] && [ -S /var/lib/sss/pipes/pam ] && getent passwd alice >/dev/null && break
	kill -0 "$sssd" || { echo "sssd has ended" >&2; exit 1; }
	sleep 0.1
done

echo "passwd: $(getent passwd alice)"
echo "by number: $(getent passwd 7007 | cut -d: -f1)"
echo "group: $(getent group engineering)"
# platform stands in engineering: SSSD follows what nests.
echo "groups: $(id -Gn dave)"
! getent passwd nobody-of-that-name || { echo "an account that is not there was found" >&2; exit 1; }

authenticate() {
	printf '%s\n' "$2" | pamtester bindery-test "$1" authenticate
}
authenticate alice "$PERSON_PASSWORD"
! authenticate alice wrong || { echo "a wrong password was accepted" >&2; exit 1; }
! authenticate carol x || { echo "an account without a password was let in" >&2; exit 1; }
authenticate "$ODD_NAME" "$ODD_PASSWORD"
! authenticate "$ODD_NAME" wrong || { echo "a wrong password was accepted" >&2; exit 1; }
for name in '*' 'a*' 'alice)(uid=*'; do
	! authenticate "$name" "$PERSON_PASSWORD" || { echo "somebody was let in as $name" >&2; exit 1; }
done
echo "authenticated"

# Somebody mistypes more often than the server lets an account be tried: it pauses the account, and SSSD must not take
# that for a server that is down. It would be offline for minutes, and nobody could log in.
for _ in $(seq 14); do
	! authenticate bob wrong || { echo "a wrong password was accepted" >&2; exit 1; }
done
authenticate alice "$PERSON_PASSWORD"
echo "not known before: $(getent passwd frank | cut -d: -f1)"
# The pause ends by itself.
for _ in $(seq 100); do
	if authenticate bob "$OTHER_PASSWORD"; then
		echo "after the pause: bob"
		break
	fi
	sleep 0.2
done

was_offline() { grep -q 'Going offline' sssd.log; }
echo "went offline: $(was_offline && echo yes || echo no)"

"$BINDERY" account deactivate alice
! authenticate alice "$PERSON_PASSWORD" || { echo "who was deactivated was let in" >&2; exit 1; }
"$BINDERY" account activate alice
authenticate alice "$PERSON_PASSWORD"
# Without the account that it searches with, it is offline: nobody is found whom it does not know yet, and whom it knows
# is not taken for deleted.
"$BINDERY" account deactivate ldapservice
! getent passwd grace || { echo "somebody was found by who was deactivated" >&2; exit 1; }
echo "known still: $(getent passwd alice | cut -d: -f1)"
echo "offline without its account: $(was_offline && echo yes || echo no)"
