# Net::LDAP of Perl: what many administrators' scripts use.

use strict;
use warnings;
use utf8;

use Authen::SASL;
use Net::LDAP;
use Net::LDAP::Constant qw(LDAP_CONTROL_PAGED LDAP_CONTROL_SORTRESULT LDAP_CONTROL_VLVRESPONSE);
use Net::LDAP::Control::Paged;
use Net::LDAP::Control::Sort;
use Net::LDAP::Control::VLV;
use Net::LDAP::Extension::SetPassword;
use Net::LDAP::Extension::WhoAmI;

my ($base, $searcher, $secret) = @ENV{qw(BASE SEARCHER SEARCHER_SECRET)};
my @tls = (verify => 'require', cafile => $ENV{CA_FILE});

sub ok { print "ok: $_[0]\n" }
sub skipped { print "skipped: $_[0]: ", $_[1] // 'not advertised', "\n" }
sub check { die "failed: $_[1]\n" unless $_[0] }

sub ends {
	my ($message, $code, $what) = @_;
	check($message->code == $code, "$what: " . $message->code . ' ' . $message->error);
	return $message;
}

sub secure { Net::LDAP->new($ENV{LDAPS_URL}, @tls, timeout => 30) or die "failed: $@\n" }

my $plain = Net::LDAP->new($ENV{LDAP_URL}, timeout => 30) or die "failed: $@\n";
my $root = $plain->root_dse(attrs => ['+']);
check((grep { $_ eq $base } $root->get_value('namingContexts')), 'namingContexts');
check($plain->schema->objectclass('inetOrgPerson'), 'the schema is read');
ok('connect');

ends($plain->bind($searcher, password => $secret), 13, 'a secret in clear');
ok('no bind in clear');

ends($plain->start_tls(@tls), 0, 'StartTLS');
ends($plain->bind($searcher, password => $secret), 0, 'bind over StartTLS');
check($plain->who_am_i->response eq "dn:$searcher", 'whoami');
ok('StartTLS');

my $ldap = secure();
ends($ldap->bind($searcher, password => $secret), 0, 'bind over LDAPS');
check($ldap->who_am_i->response eq "dn:$searcher", 'whoami');
ok('LDAPS');

ends($ldap->bind($ENV{PERSON}, password => 'wrong'), 49, 'a wrong password');
check(($ldap->who_am_i->response // '') eq '', 'whoami after a wrong bind');
ok('wrong bind');
ends($ldap->bind($ENV{PERSON}, password => $ENV{PERSON_PASSWORD}), 0, 'bind as a person');
ends($ldap->bind($searcher, password => $secret), 0, 'bind again');
ok('bind');

my $found = ends($ldap->search(base => $base, filter => '(sn=GRÜN)', attrs => ['cn', 'mail']), 0, 'search');
check($found->count == 1 && $found->entry(0)->dn eq "cn=grace,ou=users,$base", 'who is found');
check($found->entry(0)->get_value('mail') eq 'grace@example.com', 'mail');
my $missing = ends($ldap->search(base => "ou=nowhere,$base", filter => '(cn=*)'), 32, 'a base that is not there');
check($missing->dn eq $base, 'matchedDN');
ok('search');

ends($ldap->compare($ENV{PERSON}, attr => 'mail', value => 'ALICE@example.com'), 6, 'compare true');
ends($ldap->compare($ENV{PERSON}, attr => 'mail', value => 'other@example.com'), 5, 'compare false');
ends($ldap->compare($ENV{PERSON}, attr => 'pager', value => '1'), 16, 'compare of what is not there');
ok('compare');

my @people = (base => $base, filter => '(objectClass=inetOrgPerson)', attrs => ['uid']);
my $everybody = ends($ldap->search(@people), 0, 'everybody')->count;
check($everybody > 10, 'everybody');

if ($root->supported_control(LDAP_CONTROL_PAGED)) {
	my $page = Net::LDAP::Control::Paged->new(size => 5, critical => 1);
	my %seen;
	while (1) {
		my $answer = ends($ldap->search(@people, control => [$page]), 0, 'a page');
		check($answer->count <= 5, 'a page has no more than was asked for');
		$seen{$_->dn}++ for $answer->entries;
		my ($control) = $answer->control(LDAP_CONTROL_PAGED) or die "failed: no paged response\n";
		my $cookie = $control->cookie;
		last unless defined $cookie && length $cookie;
		$page->cookie($cookie);
	}
	check(keys(%seen) == $everybody && !(grep { $_ > 1 } values %seen), 'the pages are everybody, each once');
	ok('paging');
} else {
	skipped('paging');
}

my $can_sort = $root->supported_control('1.2.840.113556.1.4.473');
if ($can_sort) {
	my $sort = Net::LDAP::Control::Sort->new(order => '-uid', critical => 1);
	my $answer = ends($ldap->search(@people, control => [$sort]), 0, 'sort');
	my @names = map { lc $_->get_value('uid') } $answer->entries;
	check("@names" eq join(' ', reverse sort @names) && @names == $everybody, 'order');
	my ($control) = $answer->control(LDAP_CONTROL_SORTRESULT) or die "failed: no sort response\n";
	check($control->result == 0, 'sort result');
	ok('sort');
} else {
	skipped('sort');
}

if ($can_sort && $root->supported_control('2.16.840.1.113730.3.4.9')) {
	my $sort = Net::LDAP::Control::Sort->new(order => 'uid', critical => 1);
	my $window = Net::LDAP::Control::VLV->new(before => 0, after => 3, content => 0, offset => 2, critical => 1);
	my $answer = ends($ldap->search(@people, control => [$window, $sort]), 0, 'VLV');
	check($answer->count == 4, 'a window of four');
	my ($control) = $answer->control(LDAP_CONTROL_VLVRESPONSE) or die "failed: no VLV response\n";
	check($control->target == 2 && $control->content == $everybody, 'position and count');
	ok('VLV');
} else {
	skipped('VLV');
}

if ($root->supported_extension('1.3.6.1.4.1.4203.1.11.1')) {
	my $machine = secure();
	ends($machine->bind($ENV{MACHINE}, password => $ENV{MACHINE_SECRET}), 0, 'bind as a machine');
	my $answer = ends($machine->set_password(), 0, 'password modify');
	my $again = secure();
	ends($again->bind($ENV{MACHINE}, password => $answer->gen_password), 0, 'bind with the new secret');
	ok('password modify');
} else {
	skipped('password modify');
}

if (grep { $_ eq 'PLAIN' } $ldap->root_dse(attrs => ['supportedSASLMechanisms'])->get_value('supportedSASLMechanisms')) {
	for (['wrong', 49], [$secret, 0]) {
		my ($password, $code) = @$_;
		my $sasl = Authen::SASL->new(mechanism => 'PLAIN', callback => { user => 'ldapservice', pass => $password });
		ends(secure()->bind(sasl => $sasl), $code, 'SASL PLAIN');
	}
	ok('SASL PLAIN');
} else {
	skipped('SASL PLAIN');
}

if ($ENV{CLIENT_CERTIFICATE}) {
	my @certificate = (clientcert => $ENV{CLIENT_CERTIFICATE}, clientkey => $ENV{CLIENT_KEY});
	my $external = Net::LDAP->new($ENV{LDAPS_URL}, @tls, @certificate, timeout => 30) or die "failed: $@\n";
	ends($external->bind(sasl => Authen::SASL->new(mechanism => 'EXTERNAL')), 0, 'SASL EXTERNAL');
	check($external->who_am_i->response eq "dn:$ENV{CLIENT}", 'whoami after EXTERNAL');
	ok('SASL EXTERNAL');
} else {
	my @mechanisms = $ldap->root_dse(attrs => ['supportedSASLMechanisms'])->get_value('supportedSASLMechanisms');
	check(!(grep { $_ eq 'EXTERNAL' } @mechanisms), 'EXTERNAL is offered without a certificate');
	skipped('SASL EXTERNAL');
}

ends($ldap->modify($ENV{PERSON}, replace => { sn => 'x' }), 53, 'a change');
ok('read-only');
