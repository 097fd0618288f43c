//! OpenLDAP's own tools against the real binary with the example's directory: StartTLS, LDAPS, what each
//! account sees, who it is, compare, and what is refused.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::support::example::Example;
use crate::support::{BASE, Place};
use ldap3::controls::{ControlType, MakeCritical, PagedResults};
use ldap3::exop::{WhoAmI, WhoAmIResp};
use ldap3::{LdapConn, LdapConnSettings, Scope};
use rustix::process::Signal;

/// What a tool answered.
struct Answer {
    code: i32,
    out: String,
    err: String,
}

/// The tools against the example's directory.
trait OpenLdapTools {
    /// Runs a tool over StartTLS (`ldap`) or LDAPS.
    fn tool(&self, scheme: &str, tool: &str, arguments: &[&str]) -> Answer;
    /// Runs `ldapsearch` as an account.
    fn search(&self, scheme: &str, account: &str, secret: &str, arguments: &[&str]) -> Answer;
    /// The DNs of the first window of a list view. The tool asks its user for the next one, for ever.
    fn window(&self, arguments: &[&str]) -> Vec<String>;
}

impl OpenLdapTools for Example {
    fn tool(&self, scheme: &str, tool: &str, arguments: &[&str]) -> Answer {
        let mut command = Command::new(tool);
        command.env("LDAPTLS_CACERT", self.authority()).env("LDAPNOINIT", "1").env_remove("LDAPRC").args([
            "-x",
            "-H",
            &self.server.url(scheme),
        ]);
        // LDAPNOINIT ignores the variables too: the authority is given by the one option that is left.
        command.env_remove("LDAPNOINIT").env("HOME", self.place.path("."));
        if scheme == "ldap" {
            command.arg("-ZZ");
        }
        let output = command.args(arguments).output().unwrap_or_else(|error| panic!("{tool}: {error}"));
        Answer {
            code: output.status.code().unwrap(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn search(&self, scheme: &str, account: &str, secret: &str, arguments: &[&str]) -> Answer {
        let name = Self::dn(account);
        let mut all = vec!["-LLL", "-o", "ldif-wrap=no", "-D", &name, "-w", secret, "-b", BASE];
        all.extend_from_slice(arguments);
        self.tool(scheme, "ldapsearch", &all)
    }

    fn window(&self, arguments: &[&str]) -> Vec<String> {
        // Its question comes out at once only when its output is buffered by lines.
        let mut child = Command::new("stdbuf")
            .args(["-oL", "ldapsearch"])
            .env("LDAPTLS_CACERT", self.authority())
            .env("HOME", self.place.path("."))
            .args(["-x", "-H", &self.server.url("ldaps"), "-LLL", "-o", "ldif-wrap=no", "-b", BASE])
            .args(["-D", "ldapservice", "-w", &self.ldapservice])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let dns = lines
            .take_while(|line| !line.starts_with("Press "))
            .filter_map(|line| line.strip_prefix("dn: ").map(str::to_owned))
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();
        dns
    }
}

impl Answer {
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    fn dns(&self) -> Vec<&str> {
        self.out.lines().filter_map(|line| line.strip_prefix("dn: ")).collect()
    }
}

#[test]
fn the_searcher_sees_everything_over_start_tls_and_over_ldaps() {
    let example = Example::start("never");
    for scheme in ["ldap", "ldaps"] {
        let answer =
            example.search(scheme, "ldapservice", &example.ldapservice, &["(objectClass=*)"]).exits(0);
        let dns = answer.dns();
        for dn in [
            BASE.to_owned(),
            format!("ou=users,{BASE}"),
            format!("cn=alice,ou=users,{BASE}"),
            format!("cn=portal,ou=users,{BASE}"),
            format!("cn=engineering,ou=groups,{BASE}"),
        ] {
            assert!(dns.contains(&dn.as_str()), "{dn} is not in {dns:?}");
        }
        assert!(!answer.out.to_lowercase().contains("userpassword"), "{}", answer.out);
    }
}

#[test]
fn who_holds_no_role_sees_only_itself_and_its_groups() {
    let example = Example::start("never");
    for scheme in ["ldap", "ldaps"] {
        let answer = example.search(scheme, "portal", &example.portal, &["(objectClass=*)", "1.1"]).exits(0);
        let mut dns = answer.dns();
        dns.sort_unstable();
        let mut expected = vec![
            BASE.to_owned(),
            format!("cn=portal,ou=users,{BASE}"),
            format!("ou=groups,{BASE}"),
            format!("ou=users,{BASE}"),
        ];
        // The groups that the example puts it into, if any, name it as their only member.
        let groups = example
            .search(
                scheme,
                "ldapservice",
                &example.ldapservice,
                &[&format!("(member:1.2.840.113556.1.4.1941:=cn=portal,ou=users,{BASE})"), "1.1"],
            )
            .exits(0);
        expected.extend(groups.dns().into_iter().map(str::to_owned));
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(dns, expected);
    }
    // Nobody else can be found, asked about, or read.
    let answer = example.search("ldaps", "portal", &example.portal, &["(uid=alice)"]).exits(0);
    assert_eq!(answer.dns(), Vec::<&str>::new());
    let alice = format!("cn=alice,ou=users,{BASE}");
    let answer = example.search("ldaps", "portal", &example.portal, &["-b", &alice, "-s", "base"]).exits(32);
    assert!(answer.err.contains(&format!("Matched DN: ou=users,{BASE}")), "{}", answer.err);
}

#[test]
fn ldapwhoami_says_who() {
    let example = Example::start("never");
    let dn = format!("cn=ldapservice,ou=users,{BASE}");
    for name in [dn.as_str(), "UID=ldapService , OU=Users,dc=ldap,dc=example,dc=com", "ldapservice"] {
        for scheme in ["ldap", "ldaps"] {
            let answer =
                example.tool(scheme, "ldapwhoami", &["-D", name, "-w", &example.ldapservice]).exits(0);
            assert_eq!(answer.out.trim(), format!("dn:{dn}"), "{name}");
        }
    }
    assert_eq!(example.tool("ldaps", "ldapwhoami", &[]).exits(0).out.trim(), "anonymous");
}

#[test]
fn ldapcompare_answers_by_what_is_seen() {
    let example = Example::start("never");
    let name = format!("cn=ldapservice,ou=users,{BASE}");
    let portal = format!("cn=portal,ou=users,{BASE}");
    let group = format!("cn=engineering,ou=groups,{BASE}");
    let compare = |name: &str, secret: &str, entry: &str, assertion: &str| {
        example.tool("ldaps", "ldapcompare", &["-D", name, "-w", secret, entry, assertion]).code
    };
    let alice = format!("cn=alice,ou=users,{BASE}");
    assert_eq!(compare(&name, &example.ldapservice, &alice, "mail:ALICE@example.com"), 6);
    assert_eq!(compare(&name, &example.ldapservice, &alice, "mail:bob@example.com"), 5);
    assert_eq!(compare(&name, &example.ldapservice, &alice, "pager:1"), 16);
    assert_eq!(compare(&name, &example.ldapservice, &group, &format!("member:{alice}")), 6);
    assert_eq!(compare(&name, &example.ldapservice, &group, "memberUid:alice"), 6);
    assert_eq!(compare(&portal, &example.portal, &alice, "mail:alice@example.com"), 32);
    assert_eq!(compare(&portal, &example.portal, &portal, "cn:portal"), 6);
    assert_eq!(example.tool("ldaps", "ldapcompare", &[&alice, "cn:alice"]).code, 50);
}

#[test]
fn what_is_refused_is_refused_with_its_code() {
    let example = Example::start("never");
    let name = format!("cn=ldapservice,ou=users,{BASE}");
    // A password in clear.
    let clear = Command::new("ldapwhoami")
        .args(["-x", "-H", &example.server.url("ldap"), "-D", &name, "-w", &example.ldapservice])
        .output()
        .unwrap();
    assert_eq!(clear.status.code(), Some(13), "{}", String::from_utf8_lossy(&clear.stderr));
    // A wrong one, an unknown account, the token of another account.
    for (name, secret) in [
        (name.as_str(), "wrong"),
        ("cn=nobody,ou=users,dc=ldap,dc=example,dc=com", "wrong"),
        (name.as_str(), example.portal.as_str()),
    ] {
        example.tool("ldaps", "ldapwhoami", &["-D", name, "-w", secret]).exits(49);
    }
    // Anonymous clients read the root DSE and the subschema, nothing else.
    let root = example.tool("ldap", "ldapsearch", &["-LLL", "-s", "base", "-b", "", "+"]).exits(0);
    assert!(root.out.contains(&format!("namingContexts: {BASE}")), "{}", root.out);
    let schema =
        example.tool("ldap", "ldapsearch", &["-LLL", "-s", "base", "-b", "cn=subschema", "objectClasses"]);
    assert!(schema.exits(0).out.contains("inetOrgPerson"));
    example.tool("ldap", "ldapsearch", &["-b", BASE]).exits(50);
    example.tool("ldap", "ldapsearch", &["-b", "dc=elsewhere"]).exits(50);
    // A base that does not exist, for one who may look.
    example.search("ldaps", "ldapservice", &example.ldapservice, &["-b", "dc=elsewhere"]).exits(32);
    // Changes, in the response of their own type.
    for (tool, arguments, input) in [
        ("ldapdelete", vec![name.as_str()], ""),
        (
            "ldapmodify",
            vec![],
            "dn: cn=alice,ou=users,dc=ldap,dc=example,dc=com\nchangetype: modify\nreplace: sn\nsn: x\n\n",
        ),
        (
            "ldapadd",
            vec![],
            "dn: cn=new,ou=users,dc=ldap,dc=example,dc=com\nobjectClass: person\ncn: new\nsn: new\n\n",
        ),
        ("ldapmodrdn", vec![name.as_str(), "cn=other"], ""),
    ] {
        let file = example.place.path("changes.ldif");
        std::fs::write(&file, input).unwrap();
        let mut all = vec!["-D", name.as_str(), "-w", example.ldapservice.as_str()];
        if !input.is_empty() {
            all.extend(["-f", file.to_str().unwrap()]);
        }
        all.extend(arguments);
        let answer = example.tool("ldaps", tool, &all).exits(53);
        let said = format!("{}{}", answer.out, answer.err);
        assert!(said.contains("read-only"), "{tool}: {said}");
    }
    // A control that is not there, critical.
    let critical = ["-E", "!1.2.3.4", "(cn=alice)"];
    example.search("ldaps", "ldapservice", &example.ldapservice, &critical).exits(12);
}

#[test]
fn size_limits_types_and_selections_are_obeyed() {
    let example = Example::start("never");
    let search = |arguments: &[&str]| example.search("ldaps", "ldapservice", &example.ldapservice, arguments);
    let answer = search(&["-z", "3", "(objectClass=*)", "1.1"]).exits(4);
    assert_eq!(answer.dns().len(), 3);
    let answer = search(&["-A", "(cn=alice)", "mail", "memberOf"]).exits(0);
    assert!(answer.out.contains("mail:\n") && !answer.out.contains("alice@example.com"), "{}", answer.out);
    let answer = search(&["(mail=ALICE@*)", "CN", "entryuuid", "nonsense"]).exits(0);
    assert!(answer.out.contains("cn: alice") && answer.out.contains("entryUUID: "), "{}", answer.out);
    assert!(!answer.out.contains("mail"), "{}", answer.out);
    let answer = search(&[
        "(&(objectClass=user)(sAMAccountName=alice)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))",
        "1.1",
    ]);
    assert_eq!(answer.exits(0).dns(), [format!("cn=alice,ou=users,{BASE}")]);
}

#[test]
fn pages_orders_and_windows() {
    let example = Example::start("never");
    let search = |arguments: &[&str]| example.search("ldap", "ldapservice", &example.ldapservice, arguments);
    let all = search(&["(objectClass=inetOrgPerson)", "1.1"]).exits(0);
    let paged = search(&["-E", "!pr=3/noprompt", "(objectClass=inetOrgPerson)", "1.1"]).exits(0);
    assert!(all.dns().len() > 6);
    assert_eq!(paged.dns(), all.dns());
    let by_name = |answer: &Answer| -> Vec<String> { answer.dns().into_iter().map(str::to_owned).collect() };
    let sorted = by_name(&search(&["-E", "!sss=cn", "(objectClass=inetOrgPerson)", "1.1"]).exits(0));
    let mut expected = by_name(&all);
    expected.sort();
    assert_eq!(sorted, expected);
    let reverse =
        by_name(&search(&["-E", "!sss=-cn:2.5.13.3", "(objectClass=inetOrgPerson)", "1.1"]).exits(0));
    assert!(reverse.iter().eq(expected.iter().rev()));
    // Both: each page goes on in the order of the whole.
    let both =
        search(&["-E", "!sss=cn", "-E", "!pr=4/noprompt", "(objectClass=inetOrgPerson)", "1.1"]).exits(0);
    assert_eq!(by_name(&both), expected);
    let window = |view: &str| {
        let view = format!("!vlv={view}");
        example.window(&["-E", "!sss=cn", "-E", &view, "(objectClass=inetOrgPerson)", "1.1"])
    };
    assert_eq!(window("1/2/4/0"), expected[2..6]);
    let grace = expected.iter().position(|dn| dn.starts_with("cn=grace")).unwrap();
    assert_eq!(window("0/1:gr"), expected[grace..grace + 2]);
}

#[test]
fn values_assertions_and_other_controls() {
    let example = Example::start("never");
    let search = |arguments: &[&str]| example.search("ldap", "ldapservice", &example.ldapservice, arguments);
    let some =
        search(&["-E", "!mv=((objectClass=person)(sn=a*))", "(cn=alice)", "objectClass", "sn"]).exits(0);
    assert!(some.out.contains("objectClass: person") && !some.out.contains("inetOrgPerson"), "{}", some.out);
    let alice = format!("cn=alice,ou=users,{BASE}");
    search(&["-b", &alice, "-s", "base", "-e", "!assert=(mail=alice@example.com)", "1.1"]).exits(0);
    search(&["-b", &alice, "-s", "base", "-e", "!assert=(mail=bob@example.com)", "1.1"]).exits(122);
    search(&["-e", "!manageDSAit", "(cn=alice)", "1.1"]).exits(0);
    search(&["-E", "!subentries=true", "(objectClass=*)", "1.1"]).exits(0);
    search(&["-E", "!dontUseCopy", "(cn=alice)", "1.1"]).exits(0);
    search(&["-E", "!domainScope", "(cn=alice)", "1.1"]).exits(0);
    search(&["-e", "sessiontracking", "(cn=alice)", "1.1"]).exits(0);
    // The app passwords of the example live for 360 days: nothing to warn of yet.
    let told = example
        .tool("ldap", "ldapwhoami", &["-e", "ppolicy", "-D", "portal", "-w", &example.portal])
        .exits(0);
    assert!(!told.out.contains("expires") && !told.err.contains("expires"), "{} {}", told.out, told.err);
}

#[test]
fn for_whom_a_client_works_stands_in_the_log() {
    let example = Example::start("never");
    let arguments = ["-e", "sessiontracking=webmail-user", "-D", "portal", "-w", "wrong"];
    example.tool("ldap", "ldapwhoami", &arguments).exits(49);
    example.server.await_log("webmail-user");
    let log = example.server.log();
    let line = log.lines().find(|line| line.contains("webmail-user")).unwrap();
    assert!(line.contains("login_failed") && line.contains("portal"), "{line}");
}

#[test]
fn a_client_is_warned_of_an_expiry_that_is_near() {
    let example = Example::start("never");
    let made = example
        .place
        .run(&["token", "create", "brief", "--account", "portal", "--expires", "1h", "--json"])
        .exits(0);
    let made: serde_json::Value = serde_json::from_str(&made.stdout).unwrap();
    let secret = made["secret"].as_str().unwrap();
    let told = example.tool("ldap", "ldapwhoami", &["-e", "ppolicy", "-D", "portal", "-w", secret]).exits(0);
    let said = format!("{}{}", told.out, told.err);
    assert!(said.contains("expires in 3") || said.contains("expire=3"), "{said}");
}

#[test]
fn an_app_password_is_rotated_by_its_account() {
    let example = Example::start("never");
    let name = format!("cn=portal,ou=users,{BASE}");
    let bound = ["-D", name.as_str(), "-w", example.portal.as_str()];
    let answer = example.tool("ldap", "ldappasswd", &bound).exits(0);
    let new = answer.out.lines().find_map(|line| line.strip_prefix("New password: ")).unwrap_or_else(|| {
        panic!("no new password: {}", answer.out);
    });
    for secret in [new, example.portal.as_str()] {
        example.tool("ldaps", "ldapwhoami", &["-D", &name, "-w", secret]).exits(0);
    }
    example.tool("ldap", "ldappasswd", &[&bound[..], &["-s", "chosen"]].concat()).exits(1);
    example.tool("ldap", "ldappasswd", &[&bound[..], &["cn=alice,ou=users"]].concat()).exits(1);
}

#[test]
fn sasl_plain_binds_over_tls() {
    let example = Example::start("never");
    let sasl = |scheme: &str, arguments: &[&str]| {
        let mut command = Command::new("ldapwhoami");
        command.env("LDAPTLS_CACERT", example.authority()).env("HOME", example.place.path(".")).args([
            "-Q",
            "-Y",
            "PLAIN",
            "-H",
            &example.server.url(scheme),
            "-w",
            &example.portal,
        ]);
        if scheme == "ldap" {
            command.arg("-ZZ");
        }
        let output = command.args(arguments).output().unwrap();
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    for scheme in ["ldap", "ldaps"] {
        let (code, out, err) = sasl(scheme, &["-U", "portal"]);
        assert_eq!((code, out.trim()), (0, format!("dn:cn=portal,ou=users,{BASE}").as_str()), "{err}");
    }
    let (code, _, err) = sasl("ldaps", &["-U", "alice"]);
    assert_eq!(code, 49, "{err}");
    let (code, _, err) = sasl("ldaps", &["-U", "portal", "-X", "u:alice"]);
    assert_eq!(code, 50, "{err}");
}

/// A certificate with its key in PEM, signed by `authority` or by itself.
fn issue(
    place: &Place,
    name: &str,
    subject: &[(rcgen::DnType, &str)],
    authority: Option<&rcgen::Issuer<'_, rcgen::KeyPair>>,
) -> rcgen::Issuer<'static, rcgen::KeyPair> {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in subject {
        params.distinguished_name.push(kind.clone(), *value);
    }
    let certificate = match authority {
        None => {
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            params.self_signed(&key).unwrap()
        }
        Some(authority) => params.signed_by(&key, authority).unwrap(),
    };
    place.write(&format!("{name}.pem"), &certificate.pem());
    place.write(&format!("{name}.key"), &key.serialize_pem());
    rcgen::Issuer::new(params, key)
}

#[test]
fn a_client_certificate_is_an_account() {
    use rcgen::DnType::{CommonName, OrganizationName};

    let place = Place::new("");
    place.run(&["certificate", "--dir", "certs"]).exits(0);
    let authority = issue(&place, "clients", &[(CommonName, "client authority")], None);
    let name = |name| [(OrganizationName, "Example"), (CommonName, name)];
    issue(&place, "portal", &name("portal"), Some(&authority));
    issue(&place, "stranger", &name("stranger"), Some(&authority));
    let server = r#"
[server]
data_dir = "data"
ldap = ["127.0.0.1:0"]
ldaps = ["127.0.0.1:0"]
plain_bind = "never"

[server.log]
level = "debug"

[server.tls]
certificate = "certs/server.pem"
key = "certs/server.key"
client_ca = "clients.pem"
client_accounts = [{ subject = "CN=portal,O=Example", account = "portal" }]
"#;
    place.write("bindery.toml", &format!("{server}\n{}", crate::support::SEED));
    let (server, _) = place.serve_first();
    let whoami = |scheme: &str, certificate: Option<&str>, arguments: &[&str]| {
        let mut command = Command::new("ldapwhoami");
        command.env("LDAPTLS_CACERT", place.path("certs/ca.pem")).env("HOME", place.path("."));
        if let Some(name) = certificate {
            command.env("LDAPTLS_CERT", place.path(&format!("{name}.pem")));
            command.env("LDAPTLS_KEY", place.path(&format!("{name}.key")));
        }
        command.args(["-Q", "-Y", "EXTERNAL", "-H", &server.url(scheme)]).args(arguments);
        if scheme == "ldap" {
            command.arg("-ZZ");
        }
        let output = command.output().unwrap();
        Answer {
            code: output.status.code().unwrap(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    };
    let portal = format!("dn:cn=portal,ou=users,{BASE}\n");
    for scheme in ["ldap", "ldaps"] {
        assert_eq!(whoami(scheme, Some("portal"), &[]).exits(0).out, portal);
        assert_eq!(whoami(scheme, Some("portal"), &["-X", "u:portal"]).exits(0).out, portal);
        whoami(scheme, Some("portal"), &["-X", "u:alice"]).exits(50);
        whoami(scheme, Some("stranger"), &[]).exits(49);
        // Without a certificate the client itself does not try.
        assert_ne!(whoami(scheme, None, &[]).code, 0);
    }
    server.await_log("action=\"login\" account=\"portal\"");
    server.await_log("the client certificate stands for no account");
    place.run(&["account", "deactivate", "portal"]).exits(0);
    whoami("ldaps", Some("portal"), &[]).exits(49);
}

/// A connection over LDAPS that stays open, with a client certificate.
fn connect(
    place: &Place,
    server: &crate::support::Server,
    certificate: &str,
) -> Result<LdapConn, ldap3::LdapError> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(place.path("certs/ca.pem")).unwrap()).unwrap();
    let chain = vec![CertificateDer::from_pem_file(place.path(&format!("{certificate}.pem"))).unwrap()];
    let key = PrivateKeyDer::from_pem_file(place.path(&format!("{certificate}.key"))).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    let settings = LdapConnSettings::new().set_config(std::sync::Arc::new(config));
    LdapConn::with_settings(settings, &server.url("ldaps"))
}

/// What a connection is worth now: who it is, and what a search is answered with.
fn worth(ldap: &mut LdapConn) -> (String, u32) {
    let (answer, _) = ldap.extended(WhoAmI).unwrap().success().unwrap();
    let searched = ldap.search(BASE, Scope::Subtree, "(objectClass=*)", ["cn"]).unwrap().1;
    let name = answer.val.as_ref().map(|_| answer.parse::<WhoAmIResp>().authzid).unwrap_or_default();
    (name, searched.rc)
}

/// One entry of everything that may be seen: the code, and the cookie for the next.
fn first_page(ldap: &mut LdapConn, cookie: Vec<u8>) -> (u32, Vec<u8>) {
    let page = PagedResults { size: 1, cookie }.critical();
    let answer = ldap.with_controls(page).search(BASE, Scope::Subtree, "(objectClass=*)", ["cn"]).unwrap().1;
    let cookie = answer.ctrls.iter().find_map(|control| match control.0 {
        Some(ControlType::PagedResults) => Some(control.1.parse::<PagedResults>().cookie),
        _ => None,
    });
    (answer.rc, cookie.unwrap_or_default())
}

#[test]
fn who_another_client_ca_does_not_vouch_for_loses_its_identity() {
    use rcgen::DnType::{CommonName, OrganizationName};

    let place = Place::new("");
    place.run(&["certificate", "--dir", "certs"]).exits(0);
    let authority = issue(&place, "old", &[(CommonName, "client authority")], None);
    let other = issue(&place, "new", &[(CommonName, "another authority")], None);
    let name = [(OrganizationName, "Example"), (CommonName, "portal")];
    issue(&place, "portal", &name, Some(&authority));
    issue(&place, "successor", &name, Some(&other));
    let (old, new) = (place.read("old.pem"), place.read("new.pem"));
    let again = {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(CommonName, "client authority");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(2090, 1, 1);
        params.self_signed(authority.key()).unwrap().pem()
    };
    assert_ne!(again, old);
    place.write("clients.pem", &old);
    let config = r#"
[server]
data_dir = "data"
ldaps = ["127.0.0.1:0"]

[server.hashing]
memory = "64 KiB"
time_cost = 1
threads = 1

[server.tls]
certificate = "certs/server.pem"
key = "certs/server.key"
client_ca = "clients.pem"
client_accounts = [{ subject = "CN=portal,O=Example", account = "portal" }]
"#;
    place.write(
        "bindery.toml",
        &format!(
            "{config}
{}",
            crate::support::SEED
        ),
    );
    let (server, secrets) = place.serve_first();
    let secret = crate::support::secret_of(&secrets, "portal-app-password");
    let reload = |outcome: &str| {
        let before = server.log().matches(outcome).count();
        server.signal(Signal::HUP);
        let begun = std::time::Instant::now();
        while server.log().matches(outcome).count() == before {
            assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{outcome:?}:\n{}", server.log());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    };
    const READ: &str = "the certificates were read again";
    let trust = |authorities: &[&str]| {
        place.write("clients.pem", &authorities.concat());
        reload(READ);
    };
    let portal = || (format!("dn:cn=portal,ou=users,{BASE}"), 0);
    let nobody = || (String::new(), 50);

    let mut first = connect(&place, &server, "portal").unwrap();
    let mut second = connect(&place, &server, "portal").unwrap();
    let mut by_secret = connect(&place, &server, "portal").unwrap();
    assert_eq!(first.sasl_external_bind().unwrap().rc, 0);
    assert_eq!(second.sasl_external_bind().unwrap().rc, 0);
    let dn = format!("cn=portal,ou=users,{BASE}");
    assert_eq!(by_secret.simple_bind(&dn, &secret).unwrap().rc, 0);
    assert!(connect(&place, &server, "successor").and_then(|mut ldap| ldap.sasl_external_bind()).is_err());

    // Issued again with the same key, and then both beside each other: the chain holds, and the connections go on.
    trust(&[&again]);
    assert_eq!(worth(&mut first), portal());
    trust(&[&new, &again]);
    assert_eq!(worth(&mut first), portal());
    assert_eq!(worth(&mut second), portal());
    assert_eq!(second.sasl_external_bind().unwrap().rc, 0);
    let (code, cookie) = first_page(&mut second, Vec::new());
    assert_eq!((code, cookie.is_empty()), (0, false));
    let mut successor = connect(&place, &server, "successor").unwrap();
    assert_eq!(successor.sasl_external_bind().unwrap().rc, 0);

    // The old one is taken out.
    trust(&[&new]);
    assert_eq!(first_page(&mut second, cookie).0, 50);
    for ldap in [&mut first, &mut second] {
        assert_eq!(worth(ldap), nobody());
        assert_eq!(ldap.sasl_external_bind().unwrap().rc, 49);
        assert_eq!(worth(ldap), nobody());
    }
    server.await_log("the client certificate is not one of an authority of this server any more");
    assert_eq!(worth(&mut successor), portal());
    assert_eq!(worth(&mut by_secret), portal());
    assert_eq!(by_secret.sasl_external_bind().unwrap().rc, 49);
    assert!(connect(&place, &server, "portal").and_then(|mut ldap| ldap.sasl_external_bind()).is_err());
    assert_eq!(first.simple_bind(&dn, &secret).unwrap().rc, 0);
    assert_eq!(worth(&mut first), portal());

    // A file that cannot be read changes nothing.
    place.write("clients.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    reload("the certificates stay as they were");
    assert_eq!(worth(&mut successor), portal());
    place.write("clients.pem", &new);

    // The certificate is nobody's, then another's.
    place.edit("account = \"portal\" }]", "account = \"nobody\" }]");
    reload(READ);
    assert_eq!(worth(&mut successor), nobody());
    assert_eq!(successor.sasl_external_bind().unwrap().rc, 49);
    place.edit("account = \"nobody\" }]", "account = \"alice\" }]");
    reload(READ);
    assert_eq!(successor.sasl_external_bind().unwrap().rc, 0);
    assert_eq!(worth(&mut successor), (format!("dn:cn=alice,ou=users,{BASE}"), 0));

    // No client CA at all.
    place.edit("client_ca = \"clients.pem\"\n", "");
    place.edit("client_accounts = [{ subject = \"CN=portal,O=Example\", account = \"alice\" }]\n", "");
    reload(READ);
    assert_eq!(worth(&mut successor), nobody());
    assert_eq!(successor.sasl_external_bind().unwrap().rc, 7);
    assert_eq!(worth(&mut first), portal());
}
