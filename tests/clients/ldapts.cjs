// ldapts, the client of Node.js: what Bitwarden's connector and many web applications use.

'use strict';

const fs = require('node:fs');
const { Client, InvalidCredentialsError, ConfidentialityRequiredError, UnwillingToPerformError,
	NoSuchObjectError, ServerSideSortingRequestControl, Change, Attribute } = require('ldapts');

const { LDAP_URL, LDAPS_URL, CA_FILE, BASE, SEARCHER, SEARCHER_SECRET, PERSON, PERSON_PASSWORD, MACHINE,
	MACHINE_SECRET, CLIENT_CERTIFICATE, CLIENT_KEY, CLIENT } = process.env;
const ca = [fs.readFileSync(CA_FILE)];

const ok = (what) => console.log(`ok: ${what}`);
const skipped = (what, why = 'not advertised') => console.log(`skipped: ${what}: ${why}`);
const check = (condition, what) => {
	if (!condition) throw new Error(`failed: ${JSON.stringify(what)}`);
};
const refused = async (what, kind, promise) => {
	try {
		await promise;
	} catch (error) {
		if (error instanceof kind) return;
		throw error;
	}
	throw new Error(`failed: ${what} is not refused`);
};
const list = (value) => (value === undefined ? [] : Array.isArray(value) ? value : [value]);
const whoAmI = async (client) => (await client.exop('1.3.6.1.4.1.4203.1.11.3')).value ?? '';

async function main() {
	const plain = new Client({ url: LDAP_URL, timeout: 30000 });
	const { searchEntries: [root] } = await plain.search('', { scope: 'base', filter: '(objectClass=*)',
		attributes: ['+'] });
	check(list(root.namingContexts).includes(BASE), root);
	const controls = list(root.supportedControl);
	const extensions = list(root.supportedExtension);
	ok('connect');
	await refused('a secret in clear', ConfidentialityRequiredError, plain.bind(SEARCHER, SEARCHER_SECRET));
	await plain.unbind();
	ok('no bind in clear');

	const start = new Client({ url: LDAP_URL, timeout: 30000 });
	await start.startTLS({ ca });
	await start.bind(SEARCHER, SEARCHER_SECRET);
	check((await whoAmI(start)) === `dn:${SEARCHER}`, 'whoami');
	await start.unbind();
	ok('StartTLS');

	const client = new Client({ url: LDAPS_URL, timeout: 30000, tlsOptions: { ca } });
	await client.bind(SEARCHER, SEARCHER_SECRET);
	check((await whoAmI(client)) === `dn:${SEARCHER}`, 'whoami');
	ok('LDAPS');

	await refused('a wrong password', InvalidCredentialsError, client.bind(PERSON, 'wrong'));
	check((await whoAmI(client)) === '', 'whoami after a wrong bind');
	ok('wrong bind');
	await client.bind(PERSON, PERSON_PASSWORD);
	await client.bind(SEARCHER, SEARCHER_SECRET);
	ok('bind');

	const people = (options, more) => client.search(BASE, { scope: 'sub', filter: '(objectClass=inetOrgPerson)',
		attributes: ['uid'], ...options }, more);
	const { searchEntries: found } = await people({ filter: '(sn=GRÜN)', attributes: ['cn', 'mail'] });
	check(found.length === 1 && found[0].dn === `cn=grace,ou=users,${BASE}`, found);
	check(found[0].mail === 'grace@example.com', found);
	await refused('a base that is not there', NoSuchObjectError, client.search(`ou=nowhere,${BASE}`));
	ok('search');

	check(await client.compare(PERSON, 'mail', 'ALICE@example.com'), 'compare true');
	check(!(await client.compare(PERSON, 'mail', 'other@example.com')), 'compare false');
	ok('compare');

	const everybody = (await people({})).searchEntries.map((entry) => entry.dn);
	check(everybody.length > 10, everybody);
	if (controls.includes('1.2.840.113556.1.4.319')) {
		const paged = (await people({ paged: { pageSize: 5 } })).searchEntries.map((entry) => entry.dn);
		check(paged.length === everybody.length && new Set(paged).size === paged.length, paged);
		ok('paging');
	} else {
		skipped('paging');
	}

	if (controls.includes('1.2.840.113556.1.4.473')) {
		const sorting = new ServerSideSortingRequestControl({ value: [{ attributeType: 'uid', reverseOrder: true }] });
		const { searchEntries } = await people({}, sorting);
		const names = searchEntries.map((entry) => entry.uid.toLowerCase());
		check(names.join() === [...names].sort().reverse().join() && names.length === everybody.length, names);
		ok('sort');
	} else {
		skipped('sort');
	}
	skipped('VLV', 'the client has no such control');

	if (extensions.includes('1.3.6.1.4.1.4203.1.11.1')) {
		const machine = new Client({ url: LDAPS_URL, timeout: 30000, tlsOptions: { ca } });
		await machine.bind(MACHINE, MACHINE_SECRET);
		// The answer is SEQUENCE { [0] genPasswd }. The client reads it as text, so the tag 0x80 is one character.
		const { value = '' } = await machine.exop('1.3.6.1.4.1.4203.1.11.1');
		check(value.charCodeAt(0) === 0x30 && value.charCodeAt(3) === value.length - 4, value);
		await machine.bind(MACHINE, value.slice(4));
		check((await whoAmI(machine)) === `dn:${MACHINE}`, 'whoami with the new secret');
		await machine.unbind();
		ok('password modify');
	} else {
		skipped('password modify');
	}

	const { searchEntries: [secure] } = await client.search('', { scope: 'base', attributes: ['supportedSASLMechanisms'] });
	if (list(secure.supportedSASLMechanisms).includes('PLAIN')) {
		await client.bind('PLAIN', `\0ldapservice\0${SEARCHER_SECRET}`);
		check((await whoAmI(client)) === `dn:${SEARCHER}`, 'whoami after PLAIN');
		await refused('PLAIN with a wrong secret', InvalidCredentialsError, client.bind('PLAIN', '\0ldapservice\0wrong'));
		await client.bind(SEARCHER, SEARCHER_SECRET);
		ok('SASL PLAIN');
	} else {
		skipped('SASL PLAIN');
	}

	if (CLIENT_CERTIFICATE) {
		const [cert, key] = [CLIENT_CERTIFICATE, CLIENT_KEY].map((file) => fs.readFileSync(file));
		const external = new Client({ url: LDAPS_URL, timeout: 30000, tlsOptions: { ca, cert, key } });
		await external.bind('EXTERNAL');
		check((await whoAmI(external)) === `dn:${CLIENT}`, 'whoami after EXTERNAL');
		await external.unbind();
		ok('SASL EXTERNAL');
	} else {
		check(!list(secure.supportedSASLMechanisms).includes('EXTERNAL'), 'EXTERNAL is offered without a certificate');
		skipped('SASL EXTERNAL');
	}

	const change = new Change({ operation: 'replace', modification: new Attribute({ type: 'sn', values: ['x'] }) });
	await refused('a change', UnwillingToPerformError, client.modify(PERSON, change));
	await client.unbind();
	ok('read-only');
}

main().catch((error) => {
	console.error(error);
	process.exit(1);
});
