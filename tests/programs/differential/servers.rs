//! The two servers with the same tree, each a process of its own on a port that is free.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::client::Client;
use super::tree::{CONTAINERS, READER, READER_PASSWORD, SUFFIX, Tree};
use crate::support::{Place, Server};

/// OpenLDAP's slapd. Ended by its handle when dropped.
pub struct Slapd {
    child: Child,
    address: SocketAddr,
}

impl Slapd {
    pub fn start(directory: &Path, ldif: &Path) -> Self {
        // A copy: where a profile of AppArmor holds the installed binary, it reads nothing in a directory for
        // temporary files.
        let binary = directory.join("slapd");
        std::fs::copy("/usr/sbin/slapd", &binary).unwrap_or_else(|error| {
            panic!("/usr/sbin/slapd: {error}; `bash tests/run` installs what the tests need")
        });
        std::fs::create_dir(directory.join("slapd-data")).unwrap();
        let config = directory.join("slapd.conf");
        let modules =
            ["/usr/lib/ldap", "/usr/lib/openldap"].into_iter().find(|path| Path::new(path).is_dir());
        let text = SLAPD_CONF
            .replace("MODULES", modules.unwrap_or("/usr/lib/ldap"))
            .replace("DIRECTORY", directory.to_str().unwrap());
        std::fs::write(&config, text).unwrap();
        // Without a check of the classes (-s): memberOf stands in entries whose classes do not allow it.
        let loaded = Command::new(&binary)
            .args(["-Tadd", "-q", "-s", "-f", config.to_str().unwrap(), "-l", ldif.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(loaded.status.success(), "slapadd: {}", String::from_utf8_lossy(&loaded.stderr));
        let mut port = free_port();
        for _ in 0..5 {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let child = Command::new(&binary)
                .args(["-d", "0", "-f", config.to_str().unwrap(), "-h", &format!("ldap://{address}/")])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut slapd = Self { child, address };
            if slapd.is_ready() {
                return slapd;
            }
            // Somebody was quicker to take the port.
            port = free_port();
        }
        panic!("slapd does not start");
    }

    pub fn client(&self) -> Client {
        let mut client = Client::connect(self.address).unwrap();
        assert_eq!(client.bind(READER, READER_PASSWORD).code, 0);
        client
    }

    fn is_ready(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(30) {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if Client::connect(self.address).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        // Both fail when it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// bindery with the tree imported, and the report of the import.
pub fn bindery(place: &Place, tree: &Tree, ldif: &Path) -> Server {
    let seed = format!(
        r#"
[[provider]]
name = "ldap"
base_dn = "{SUFFIX}"
default = true
virtual_groups = false
compatibility_attributes = false
users = [{{ container = "ou=people", naming = "uid" }}]
service_accounts = [{{ container = "ou=services", naming = "cn" }}]
groups = [{{ container = "ou=groups", naming = "cn" }}]

[[role]]
name = "search"
permissions = [{{ permission = "search_full_directory", on = "provider:ldap" }}]
"#
    );
    place.write("bindery.toml", &format!("{}\n{seed}", crate::support::SERVER));
    place.run(&["apply"]).exits(0);
    let mut arguments = vec!["import".to_owned(), ldif.to_str().unwrap().to_owned()];
    for (number, (container, naming)) in CONTAINERS.iter().enumerate() {
        let flag = ["--users", "--users", "--users", "--service-accounts", "--groups", "--groups"][number];
        arguments.extend([flag.to_owned(), format!("{container}:{naming}")]);
    }
    arguments.extend(["--role", "search", "--allow-system-numbers", "--json"].map(str::to_owned));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = place.run(&arguments).exits(0);
    let report = done.json();
    let imported: u64 =
        ["users", "service_accounts", "groups"].iter().map(|kind| report[*kind].as_u64().unwrap()).sum();
    let expected = tree.items.len() - 1 - CONTAINERS.len();
    assert_eq!(imported as usize, expected, "{report:#}");
    place.serve(&[])
}

/// A client of it.
pub fn client(server: &Server) -> Client {
    let mut client = Client::connect(server.address("ldap")).unwrap();
    assert_eq!(client.bind(READER, READER_PASSWORD).code, 0);
    client
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// memberOf is defined as what it is in bindery, a user attribute, and stands in the data: no overlay.
const SLAPD_CONF: &str = r#"
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
attributetype ( 1.2.840.113556.1.2.102 NAME 'memberOf' EQUALITY distinguishedNameMatch
	SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 )
modulepath MODULES
moduleload back_mdb
pidfile DIRECTORY/slapd.pid
argsfile DIRECTORY/slapd.args
loglevel 0
threads 2
sizelimit unlimited
timelimit unlimited

database mdb
suffix "dc=differ,dc=example"
directory DIRECTORY/slapd-data
maxsize 67108864
access to attrs=userPassword by anonymous auth by * none
access to * by dn.base="cn=reader,ou=services,dc=differ,dc=example" read by * none
"#;
