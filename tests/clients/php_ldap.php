<?php
// PHP's ext/ldap: what web applications such as Nextcloud and MediaWiki use.

error_reporting(E_ALL & ~E_WARNING);

$base = getenv('BASE');
$searcher = getenv('SEARCHER');
$secret = getenv('SEARCHER_SECRET');
$person = getenv('PERSON');
ldap_set_option(null, LDAP_OPT_X_TLS_CACERTFILE, getenv('CA_FILE'));
ldap_set_option(null, LDAP_OPT_X_TLS_REQUIRE_CERT, LDAP_OPT_X_TLS_DEMAND);

function ok($what) { echo "ok: $what\n"; }
function skipped($what, $why = 'not advertised') { echo "skipped: $what: $why\n"; }
function check($condition, $what) {
	if (!$condition) {
		fwrite(STDERR, "failed: $what\n");
		exit(1);
	}
}
function ends($ldap, $code, $what) {
	check(ldap_errno($ldap) === $code, "$what: " . ldap_errno($ldap) . ' ' . ldap_error($ldap));
}
function connect($url) {
	$ldap = ldap_connect($url);
	ldap_set_option($ldap, LDAP_OPT_PROTOCOL_VERSION, 3);
	ldap_set_option($ldap, LDAP_OPT_REFERRALS, 0);
	ldap_set_option($ldap, LDAP_OPT_NETWORK_TIMEOUT, 30);
	return $ldap;
}
function secure() { return connect(getenv('LDAPS_URL')); }
function bind($ldap, $dn, $password, $code, $what) {
	ldap_bind($ldap, $dn, $password);
	ends($ldap, $code, $what);
}
// The entries of a search, without what ldap_get_entries counts.
function found($ldap, $base, $filter, $attributes, $controls = null) {
	$result = ldap_search($ldap, $base, $filter, $attributes, 0, 0, 0, LDAP_DEREF_NEVER, $controls);
	check($result !== false, "search $filter: " . ldap_error($ldap));
	check(ldap_parse_result($ldap, $result, $code, $dn, $text, $referrals, $answer), 'the result of a search');
	check($code === 0, "search $filter: $code $text");
	$entries = ldap_get_entries($ldap, $result);
	unset($entries['count']);
	return [$entries, $answer];
}

$plain = connect(getenv('LDAP_URL'));
$result = ldap_read($plain, '', '(objectClass=*)', ['*', '+']);
check($result !== false, 'the root DSE');
$root = ldap_get_entries($plain, $result)[0];
check(in_array($base, $root['namingcontexts']), 'namingContexts');
ok('connect');

bind($plain, $searcher, $secret, 13, 'a secret in clear');
ok('no bind in clear');

// It takes no other certificate than one of the authority that it trusts, for this host.
check(ldap_start_tls($plain), 'StartTLS: ' . ldap_error($plain));
bind($plain, $searcher, $secret, 0, 'bind over StartTLS');
check(ldap_exop_whoami($plain) === "dn:$searcher", 'whoami');
ok('StartTLS');

$ldap = secure();
bind($ldap, $searcher, $secret, 0, 'bind over LDAPS');
check(ldap_exop_whoami($ldap) === "dn:$searcher", 'whoami');
ok('LDAPS');

bind($ldap, $person, 'wrong', 49, 'a wrong password');
check(ldap_exop_whoami($ldap) === '', 'whoami after a wrong bind');
ok('wrong bind');
bind($ldap, $person, getenv('PERSON_PASSWORD'), 0, 'bind as a person');
bind($ldap, $searcher, $secret, 0, 'bind again');
ok('bind');

[$entries] = found($ldap, $base, '(sn=GRÜN)', ['cn', 'mail']);
check(count($entries) === 1 && $entries[0]['dn'] === "cn=grace,ou=users,$base", 'who is found');
check($entries[0]['mail'][0] === 'grace@example.com', 'mail');
check(ldap_search($ldap, "ou=nowhere,$base", '(cn=*)') === false, 'a base that is not there');
ends($ldap, 32, 'a base that is not there');
ok('search');

check(ldap_compare($ldap, $person, 'mail', 'ALICE@example.com') === true, 'compare true');
check(ldap_compare($ldap, $person, 'mail', 'other@example.com') === false, 'compare false');
check(ldap_compare($ldap, $person, 'pager', '1') === -1, 'compare of what is not there');
ends($ldap, 16, 'compare of what is not there');
ok('compare');

// How an application looks for somebody who logs in.
function named($ldap, $base, $name) {
	$filter = '(&(objectClass=inetOrgPerson)(uid=' . ldap_escape($name, '', LDAP_ESCAPE_FILTER) . '))';
	return found($ldap, $base, $filter, ['uid', 'memberOf'])[0];
}
$odd = named($ldap, $base, getenv('ODD_NAME'));
check(count($odd) === 1 && $odd[0]['uid'][0] === getenv('ODD_NAME'), 'who is found by a name with special characters');
$made = 'cn=' . ldap_escape(getenv('ODD_NAME'), '', LDAP_ESCAPE_DN) . ",ou=users,$base";
foreach ([$odd[0]['dn'], $made] as $dn) {
	$as = secure();
	bind($as, $dn, 'wrong', 49, "a wrong password of $dn");
	bind($as, $dn, getenv('ODD_PASSWORD'), 0, "bind as $dn");
	check(ldap_exop_whoami($as) === 'dn:' . $odd[0]['dn'], 'whoami of a name with special characters');
}
foreach (['*', 'a*', 'alice)(uid=*', '\\2a'] as $name) {
	check(named($ldap, $base, $name) === [], "somebody is found by $name");
}
ok('a name with special characters');

$group = "cn=engineering,ou=groups,$base";
check(in_array($group, $odd[0]['memberof']), 'memberOf');
foreach (['engineering' => 1, 'staff' => 1, 'support' => 0] as $name => $count) {
	$member = ldap_escape($odd[0]['dn'], '', LDAP_ESCAPE_FILTER);
	$filter = "(&(objectClass=groupOfNames)(cn=$name)(member:1.2.840.113556.1.4.1941:=$member))";
	check(count(found($ldap, $base, $filter, ['cn'])[0]) === $count, "the groups of a person: $name");
}
ok('groups');

$people = '(objectClass=inetOrgPerson)';
$everybody = count(found($ldap, $base, $people, ['uid'])[0]);
check($everybody > 10, 'everybody');

$can = fn($control) => in_array($control, $root['supportedcontrol']);
if ($can(LDAP_CONTROL_PAGEDRESULTS)) {
	$seen = [];
	$cookie = '';
	do {
		$page = [['oid' => LDAP_CONTROL_PAGEDRESULTS, 'iscritical' => true, 'value' => ['size' => 5, 'cookie' => $cookie]]];
		[$entries, $answer] = found($ldap, $base, $people, ['uid'], $page);
		check(count($entries) <= 5, 'a page has no more than was asked for');
		foreach ($entries as $entry) {
			$seen[$entry['dn']] = ($seen[$entry['dn']] ?? 0) + 1;
		}
		$cookie = $answer[LDAP_CONTROL_PAGEDRESULTS]['value']['cookie'];
	} while ($cookie !== '');
	check(count($seen) === $everybody && max($seen) === 1, 'the pages are everybody, each once');
	ok('paging');
} else {
	skipped('paging');
}

if ($can(LDAP_CONTROL_SORTREQUEST)) {
	$backwards = ['oid' => LDAP_CONTROL_SORTREQUEST, 'iscritical' => true, 'value' => [['attr' => 'uid', 'reverse' => true]]];
	[$entries, $answer] = found($ldap, $base, $people, ['uid'], [$backwards]);
	$names = array_map(fn($entry) => strtolower($entry['uid'][0]), $entries);
	$sorted = $names;
	rsort($sorted, SORT_STRING);
	check($names === $sorted && count($names) === $everybody, 'order');
	check($answer[LDAP_CONTROL_SORTRESPONSE]['value']['errcode'] === 0, 'sort result');
	ok('sort');
	if ($can(LDAP_CONTROL_VLVREQUEST)) {
		$forwards = ['oid' => LDAP_CONTROL_SORTREQUEST, 'iscritical' => true, 'value' => [['attr' => 'uid']]];
		$window = ['before' => 0, 'after' => 3, 'offset' => 2, 'count' => 0];
		$window = ['oid' => LDAP_CONTROL_VLVREQUEST, 'iscritical' => true, 'value' => $window];
		[$entries, $answer] = found($ldap, $base, $people, ['uid'], [$forwards, $window]);
		$place = $answer[LDAP_CONTROL_VLVRESPONSE]['value'];
		check(count($entries) === 4, 'a window of four');
		check($place['target'] === 2 && $place['count'] === $everybody, 'position and count');
		ok('VLV');
	} else {
		skipped('VLV');
	}
} else {
	skipped('sort');
	skipped('VLV');
}

$machine = secure();
$machine_secret = getenv('MACHINE_SECRET');
bind($machine, getenv('MACHINE'), $machine_secret, 0, 'bind as a machine');
if (in_array('1.3.6.1.4.1.4203.1.11.1', $root['supportedextension'])) {
	$machine_secret = ldap_exop_passwd($machine);
	check(is_string($machine_secret), 'password modify: ' . ldap_error($machine));
	bind(secure(), getenv('MACHINE'), $machine_secret, 0, 'bind with the new secret');
	ok('password modify');
} else {
	skipped('password modify');
}

$mechanisms = $root['supportedsaslmechanisms'] ?? [];
if (!function_exists('ldap_sasl_bind')) {
	skipped('SASL PLAIN', 'this PHP has no SASL');
} elseif (in_array('PLAIN', $mechanisms)) {
	foreach (['wrong' => 49, $secret => 0] as $password => $code) {
		$as = secure();
		ldap_sasl_bind($as, '', $password, 'PLAIN', '', 'ldapservice');
		ends($as, $code, 'SASL PLAIN');
	}
	ok('SASL PLAIN');
} else {
	skipped('SASL PLAIN');
}
check(!in_array('EXTERNAL', $mechanisms), 'EXTERNAL is offered without a certificate');
skipped('SASL EXTERNAL');

ldap_modify($ldap, $person, ['sn' => 'x']);
ends($ldap, 53, 'a change');
ok('read-only');

// A connection that is kept, as a long-running worker keeps it, ends with the right of its account.
$bindery = escapeshellarg(getenv('BINDERY'));
check(count(found($ldap, $base, '(uid=bob)', ['uid'])[0]) === 1, 'the searcher finds bob');
exec("$bindery account deactivate ldapservice 2>&1", $lines, $status);
check($status === 0, 'deactivate: ' . implode(' ', $lines));
$result = ldap_search($ldap, $base, '(uid=bob)', ['uid']);
check($result === false || ldap_count_entries($ldap, $result) === 0, 'somebody is found by who was deactivated');
bind(secure(), $searcher, $secret, 49, 'bind as who was deactivated');
exec("$bindery account activate ldapservice 2>&1", $lines, $status);
check($status === 0, 'activate: ' . implode(' ', $lines));
$ldap = secure();
bind($ldap, $searcher, $secret, 0, 'bind as who is active again');
check(count(found($ldap, $base, '(uid=bob)', ['uid'])[0]) === 1, 'the searcher finds bob again');
ok('revoked');
