# Net::LDAP of Ruby: what web applications such as GitLab and Redmine use.

require 'net/ldap'
require 'net/ldap/dn'
require 'uri'

BASE, SEARCHER, SECRET = ENV.values_at('BASE', 'SEARCHER', 'SEARCHER_SECRET')
TLS = { ca_file: ENV['CA_FILE'], verify_mode: OpenSSL::SSL::VERIFY_PEER }.freeze

def ok(what) = puts("ok: #{what}")
def skipped(what, why = 'not advertised') = puts("skipped: #{what}: #{why}")
def check(condition, what)
  abort("failed: #{what}") unless condition
end

def ends(ldap, code, what)
  result = ldap.get_operation_result
  check(result.code == code, "#{what}: #{result.code} #{result.message} #{result.error_message}")
end

# With the name and password that each of its operations, which has a connection of its own, binds with.
def directory(variable, method, name = SEARCHER, password = SECRET)
  url = URI(ENV[variable])
  auth = name ? { method: :simple, username: name, password: password } : { method: :anonymous }
  encryption = method && { method: method, tls_options: TLS }
  Net::LDAP.new(host: url.host, port: url.port, base: BASE, auth: auth, encryption: encryption, connect_timeout: 30)
end

def secure(name = SEARCHER, password = SECRET) = directory('LDAPS_URL', :simple_tls, name, password)

def found(ldap, filter, what, **options)
  entries = ldap.search(filter: filter, **options)
  ends(ldap, 0, what)
  entries
end

plain = directory('LDAP_URL', nil, nil)
root = plain.search_root_dse
check(root[:namingcontexts].include?(BASE), 'namingContexts')
check(plain.search_subschema_entry[:objectclasses].any? { |line| line.include?("'inetOrgPerson'") }, 'the schema is read')
ok('connect')

clear = directory('LDAP_URL', nil)
check(!clear.bind, 'a secret in clear is taken')
ends(clear, 13, 'a secret in clear')
ok('no bind in clear')

started = directory('LDAP_URL', :start_tls)
check(started.bind, "bind over StartTLS: #{started.get_operation_result.message}")
ok('StartTLS')

ldap = secure
check(ldap.bind, "bind over LDAPS: #{ldap.get_operation_result.message}")
ok('LDAPS')

wrong = secure(ENV['PERSON'], 'wrong')
check(!wrong.bind, 'a wrong password is taken')
ends(wrong, 49, 'a wrong password')
check(!secure(ENV['PERSON'], '').bind, 'an empty password is taken')
ok('wrong bind')
person = secure(ENV['PERSON'], ENV['PERSON_PASSWORD'])
check(person.bind, "bind as a person: #{person.get_operation_result.message}")
ok('bind')

entries = found(ldap, Net::LDAP::Filter.eq('sn', 'GRÜN'), 'search', attributes: %w[cn mail])
check(entries.length == 1 && entries[0].dn == "cn=grace,ou=users,#{BASE}", 'who is found')
check(entries[0][:mail] == ['grace@example.com'], 'mail')
ldap.search(base: "ou=nowhere,#{BASE}", filter: Net::LDAP::Filter.present('cn'))
ends(ldap, 32, 'a base that is not there')
check(ldap.get_operation_result.matched_dn == BASE, 'matchedDN')
ok('search')

# How an application looks for somebody who logs in.
def named(name)
  Net::LDAP::Filter.eq('objectClass', 'inetOrgPerson') & Net::LDAP::Filter.equals('uid', name)
end
name = ENV['ODD_NAME']
odd = found(ldap, named(name), 'a name with special characters')
check(odd.length == 1, 'who is found by a name with special characters')
check(odd[0][:uid].map { |uid| uid.dup.force_encoding('UTF-8') } == [name], 'the name with special characters')
check(ldap.bind_as(filter: named(name), password: ENV['ODD_PASSWORD']), 'bind as who was found')
check(!ldap.bind_as(filter: named(name), password: 'wrong'), 'a wrong password of who was found')
made = "cn=#{Net::LDAP::DN.escape(name)},ou=users,#{BASE}"
check(secure(made, ENV['ODD_PASSWORD']).bind, "bind as #{made}")
['*', 'a*', 'alice)(uid=*', '\2a'].each do |other|
  check(found(ldap, named(other), "search for #{other}").empty?, "somebody is found by #{other}")
end
ok('a name with special characters')

check(odd[0][:memberof].include?("cn=engineering,ou=groups,#{BASE}"), 'memberOf')
{ 'engineering' => 1, 'staff' => 1, 'support' => 0 }.each do |group, count|
  filter = Net::LDAP::Filter.eq('objectClass', 'groupOfNames') & Net::LDAP::Filter.eq('cn', group)
  filter &= Net::LDAP::Filter.ex('member:1.2.840.113556.1.4.1941', Net::LDAP::Filter.escape(odd[0].dn.dup.force_encoding('UTF-8')))
  check(found(ldap, filter, "the groups of a person: #{group}").length == count, "the groups of a person: #{group}")
end
ok('groups')

people = Net::LDAP::Filter.eq('objectClass', 'inetOrgPerson')
everybody = found(ldap, people, 'everybody', attributes: ['uid']).length
check(everybody > 10, 'everybody')
skipped('paging', 'its pages have 126 entries, more than there are here')

if root[:supportedcontrol].include?(Net::LDAP::LDAPControls::SORT_REQUEST)
  names = found(ldap, people, 'sort', attributes: ['uid'], sort_controls: ['uid']).map { |entry| entry[:uid][0].downcase }
  check(names == names.sort && names.length == everybody, 'order')
  ok('sort')
else
  skipped('sort')
end
skipped('VLV', 'the library has none')

machine_secret = ENV['MACHINE_SECRET']
if root[:supportedextension].include?('1.3.6.1.4.1.4203.1.11.1')
  machine = secure(ENV['MACHINE'], machine_secret)
  check(machine.password_modify(dn: ENV['MACHINE'], auth: { method: :simple, username: ENV['MACHINE'], password: machine_secret }),
        "password modify: #{machine.get_operation_result.message}")
  ok('password modify')
else
  skipped('password modify')
end

mechanisms = root[:supportedsaslmechanisms]
if mechanisms.include?('PLAIN')
  { 'wrong' => 49, SECRET => 0 }.each do |password, code|
    sasl = secure
    sasl.bind(method: :sasl, mechanism: 'PLAIN', initial_credential: "\0ldapservice\0#{password}", challenge_response: ->(_) { '' })
    ends(sasl, code, 'SASL PLAIN')
  end
  ok('SASL PLAIN')
else
  skipped('SASL PLAIN')
end
check(!mechanisms.include?('EXTERNAL'), 'EXTERNAL is offered without a certificate')
skipped('SASL EXTERNAL')

check(!ldap.replace_attribute(ENV['PERSON'], :sn, 'x'), 'a change')
ends(ldap, 53, 'a change')
ok('read-only')

# A connection that is kept ends with the right of its account.
bindery = ->(command) { check(system(ENV['BINDERY'], 'account', command, 'ldapservice', out: File::NULL), command) }
bob = named('bob')
ldap.open do |kept|
  check(kept.search(filter: bob)&.length == 1, 'the searcher finds bob')
  bindery.call('deactivate')
  entries = begin
    kept.search(filter: bob)
  rescue Net::LDAP::Error
    nil
  end
  check((entries || []).empty?, 'somebody is found by who was deactivated')
end
check(!secure.bind, 'bind as who was deactivated')
bindery.call('activate')
check(found(secure, bob, 'search').length == 1, 'the searcher finds bob again')
ok('revoked')
