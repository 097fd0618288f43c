//! The audit trail by the real binary: what happened stands in it, and what was done to it shows.

use std::path::Path;

use crate::support::{BASE, Place, SEED};
use bindery::inside::model::{Change, Event, Key, Record, Trail, TrailState, Trails};
use bindery::inside::store::{Batch, DiskStore, Store};
use ldap3::LdapConn;

/// Changes the events of a trail of a stopped store as somebody could who has the code and the disk: every checksum is right.
fn harm(data: &Path, trail: Trail, harm: impl FnOnce(&mut Vec<Event>) -> Vec<u64>) {
    let store = DiskStore::open(data).unwrap();
    let meta = store.load(&mut |_| {}).unwrap();
    let before = store.events(trail, 0, usize::MAX).unwrap();
    let mut after = before.clone();
    let gone = harm(&mut after).into_iter().map(|sequence| Change::Delete(Key::Event(trail.at(sequence))));
    let mut changes: Vec<Change> = gone.collect();
    let edited = after.into_iter().filter(|event| !before.contains(event));
    changes.extend(edited.map(|event| Change::Put(Record::Event(event))));
    store
        .commit(&Batch { changes, counters: meta.counters, seeded: meta.seeded, ..Batch::default() })
        .unwrap();
}

/// A place whose trail of changes has some events, and that trail's end.
fn filled() -> (Place, String) {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    for identifier in ["one", "two", "three"] {
        place.run(&["token", "create", identifier, "--account", "portal", "--json"]).exits(0);
    }
    let report = place.run(&["event", "verify", "--json"]).exits(0).json();
    let changes = &report["trails"][0];
    assert_eq!((&changes["trail"], &changes["problem_count"]), (&"changes".into(), &0.into()));
    let end = format!("{}:{}", changes["last"], changes["head"].as_str().unwrap());
    (place, end)
}

#[test]
fn an_untouched_trail_is_verified_with_and_without_a_server() {
    let (place, end) = filled();
    place.run(&["event", "verify", "--expect", &end]).exits(0);
    let changes = format!("changes:{end}");
    place.run(&["event", "verify", "--expect", &changes, "--expect", &end]).exits(0);
    let elsewhere = format!("logins:{end}");
    place
        .run(&["event", "verify", "--expect", &end, "--expect", &elsewhere])
        .exits(1)
        .says(&["logins: event"]);
    let server = place.serve(&[]);
    let done = place.run(&["event", "verify", "--expect", &end]).exits(0);
    assert!(done.stdout.contains("are as they were written"), "{}", done.stdout);
    place.run(&["event", "verify", "--expect", "7"]).exits(2).says(&["TRAIL:SEQUENCE:DIGEST"]);
    server.stop();
}

#[test]
fn an_edited_event_is_named() {
    let (place, _) = filled();
    harm(&place.path("data"), Trail::Changes, |events| {
        let event = events.iter_mut().find(|event| event.object_name == "two").unwrap();
        assert_eq!(event.actor.account, "bindery:command-line");
        event.actor.account = "somebody else".to_owned();
        Vec::new()
    });
    let event = place.run(&["event", "list", "--object", "two", "--json"]).exits(0).json()[0].clone();
    let named = format!("event {} was edited", event["sequence"]);
    place.run(&["event", "verify"]).exits(1).says(&["not as bindery wrote it", &named]);
    let server = place.serve(&[]);
    place.run(&["event", "verify"]).exits(1).says(&[&named]);
    server.stop();
}

/// In every trail, and each is named with it.
#[test]
fn what_was_done_to_logins_and_failures_is_named() {
    let place = Place::new(SEED);
    let (server, secrets) = place.serve_first();
    let secret = secrets[0]["secret"].as_str().unwrap();
    let dn = format!("cn={},ou=users,{BASE}", secrets[0]["account"].as_str().unwrap());
    let mut connection = LdapConn::new(&server.url("ldap")).unwrap();
    for (secret, rc) in [(secret, 0), ("wrong", 49)] {
        assert_eq!(connection.simple_bind(&dn, secret).unwrap().rc, rc);
    }
    connection.unbind().unwrap();
    server.stop();
    let report = place.run(&["event", "verify", "--json"]).exits(0).json();
    for (number, trail) in [(1, Trail::Logins), (2, Trail::Failures)] {
        let said = &report["trails"][number];
        assert_eq!((&said["trail"], &said["verified"]), (&trail.as_str().into(), &1.into()), "{report}");
        harm(&place.path("data"), trail, |events| {
            events[0].count += 1;
            Vec::new()
        });
    }
    place
        .run(&["event", "verify"])
        .exits(1)
        .says(&["logins: event 1 was edited", "failures: event 1 was edited"]);
}

#[test]
fn removed_events_are_named() {
    let (place, _) = filled();
    harm(&place.path("data"), Trail::Changes, |_| vec![2, 3]);
    let done = place.run(&["event", "verify", "--json"]).exits(1).says(&["events 2 to 3 were removed"]);
    assert_eq!(done.json()["trails"][0]["problems"][0]["problem"], "removed");
    let (place, _) = filled();
    harm(&place.path("data"), Trail::Changes, |events| vec![events.len() as u64]);
    place.run(&["event", "verify"]).exits(1).says(&["was removed"]);
}

#[test]
fn swapped_events_are_named() {
    let (place, _) = filled();
    harm(&place.path("data"), Trail::Changes, |events| {
        events.swap(1, 2);
        (events[1].sequence, events[2].sequence) = (2, 3);
        Vec::new()
    });
    place
        .run(&["event", "verify"])
        .exits(1)
        .says(&["event 3 is out of order: it was written behind event 1"]);
}

#[test]
fn a_trail_that_was_written_anew_is_told_by_its_old_end() {
    let (place, end) = filled();
    let data = place.path("data");
    let store = DiskStore::open(&data).unwrap();
    let mut records = Vec::new();
    let meta = store.load(&mut |record| records.push(record)).unwrap();
    let of_trail = |trail| store.events(trail, 0, usize::MAX).unwrap();
    let others = Trail::ALL.into_iter().filter(|trail| *trail != Trail::Changes).flat_map(of_trail);
    records.extend(others.map(Record::Event));
    let mut events = of_trail(Trail::Changes);
    drop(store);
    // All of it, as a batch that does not follow on the one before it is refused by the store.
    for copy in ["journal", "store"] {
        std::fs::remove_dir_all(data.join(copy)).unwrap();
    }
    std::fs::remove_file(data.join("acknowledged")).unwrap();
    let store = DiskStore::open(&data).unwrap();
    store.load(&mut |_| {}).unwrap();
    events[1].object_name = "somebody else".to_owned();
    let mut state = TrailState::default();
    events.iter_mut().for_each(|event| bindery::inside::audit::append(&mut state, event));
    let trails = Trails { changes: state, ..meta.counters.trails };
    records.extend(events.into_iter().map(Record::Event));
    let changes = records.into_iter().map(Change::Put).collect();
    let counters = bindery::inside::store::Counters { trails, ..meta.counters };
    store.commit(&Batch { changes, counters, seeded: meta.seeded, ..Batch::default() }).unwrap();
    drop(store);
    place.run(&["event", "verify"]).exits(0);
    place.run(&["event", "verify", "--expect", &end]).exits(1).says(&["and not", "as expected"]);
}

#[test]
fn logins_become_events_without_anybody_asking() {
    let place = Place::new(SEED);
    place.edit("[server.hashing]", "[server.limits]\nlogins_told_time = \"1s\"\n\n[server.hashing]");
    let (server, _) = place.serve_first();
    let mut connection = LdapConn::new(&server.url("ldap")).unwrap();
    assert_eq!(connection.simple_bind(&format!("cn=alice,ou=users,{BASE}"), "wrong").unwrap().rc, 49);
    // At once, and as an event.
    server.await_log("action=\"login_failed\"");
    server.await_log(" count=1 action=\"login_failed\"");
    server.stop();
}

#[test]
fn logins_stand_in_the_trail_with_their_counts_and_in_the_log_as_json() {
    let place = Place::new(SEED);
    let log = "[server.log]\nformat = \"json\"\n\n[[provider]]";
    let config = place.read("bindery.toml");
    let first = config.find("[[provider]]").unwrap();
    place.write(
        "bindery.toml",
        &format!("{}{log}{}", &config[..first], &config[first + "[[provider]]".len()..]),
    );
    let (server, secrets) = place.serve_first();
    let secret = secrets
        .as_array()
        .unwrap()
        .iter()
        .find(|secret| secret["account"] == "portal")
        .map(|secret| secret["secret"].as_str().unwrap().to_owned())
        .unwrap();
    let dn = format!("cn=portal,ou=users,{BASE}");
    let mut connection = LdapConn::new(&server.url("ldap")).unwrap();
    for _ in 0..7 {
        connection.simple_bind(&dn, &secret).unwrap().success().unwrap();
    }
    for _ in 0..3 {
        assert_eq!(connection.simple_bind(&dn, "wrong").unwrap().rc, 49);
    }
    connection.unbind().unwrap();
    // Who asks for events sees the logins of a moment ago.
    let logins = place.run(&["event", "list", "--action", "login", "--json"]).exits(0).json();
    assert_eq!(logins.as_array().unwrap().len(), 1, "{logins}");
    let login = &logins[0];
    assert_eq!((&login["count"], &login["actor"]["account"]), (&7.into(), &"portal".into()));
    assert_eq!(login["actor"]["source"], "127.0.0.1");
    assert_eq!(login["actor"]["token"], "portal-app-password");
    let failed = place
        .run(&["event", "list", "--action", "login_failed", "--account", "PORTAL", "--json"])
        .exits(0)
        .json();
    assert_eq!(failed[0]["count"], 3, "{failed}");
    let place_of =
        |event: &serde_json::Value| format!("{}:{}", event["trail"].as_str().unwrap(), event["sequence"]);
    let sequence = place_of(login);
    assert_eq!((sequence.as_str(), place_of(&failed[0]).as_str()), ("logins:1", "failures:1"));
    let shown = place.run(&["event", "show", &sequence]).exits(0).stdout;
    assert!(shown.contains("7 times from") && shown.contains("method: token"), "{shown}");
    let tokens = place.run(&["token", "list", "--account", "portal", "--json"]).exits(0).json();
    let used = &tokens[0]["last_used"];
    assert_eq!(
        (&used["count"], &used["source"], &used["application"]),
        (&7.into(), &"127.0.0.1".into(), &serde_json::Value::Null),
        "no application is behind the provider"
    );
    assert!(place.run(&["token", "list"]).exits(0).stdout.contains("from 127.0.0.1"));
    place.run(&["event", "show", "100000"]).exits(1).says(&["there is no event changes:100000"]);
    place.run(&["event", "show", "log:1"]).exits(2).says(&["TRAIL:SEQUENCE"]);
    let words = place.run(&["event", "list", "--since", "1h", "--limit", "3"]).exits(0).stdout;
    assert_eq!(words.lines().count(), 4, "{words}");
    place.run(&["event", "list", "--action", "logins"]).exits(2).says(&["login_failed"]);
    let all = place.run(&["event", "list", "--json"]).exits(0).json();
    let times: Vec<&str> =
        all.as_array().unwrap().iter().map(|event| event["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|one, other| one >= other), "{all}");
    let trails = ["event", "list", "--trail", "logins", "--trail", "failures", "--json"];
    let trails = place.run(&trails).exits(0).json();
    assert_eq!(trails.as_array().unwrap().iter().map(place_of).collect::<Vec<_>>().len(), 2, "{trails}");
    let last = place_of(&all.as_array().unwrap()[0]);
    let next = place.run(&["event", "list", "--before", &last, "--limit", "1", "--json"]).exits(0).json();
    assert_eq!(next[0], all[1]);
    place.run(&["event", "list", "--trail", "login"]).exits(2).says(&["failures"]);
    // What is noted from the log holds the trail to it.
    server.await_log("\"action\":\"login\"");
    let line = server
        .log()
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|line| line["trail"] == "logins" && line["sequence"] == login["sequence"])
        .unwrap();
    assert_eq!((&line["target"], &line["count"]), (&"audit::document".into(), &7.into()));
    assert_eq!(line["digest"], login["digest"]);
    let noted = format!("{}:{}", sequence, line["digest"].as_str().unwrap());
    place.run(&["event", "verify", "--expect", &noted]).exits(0);
    // The last ones are written when the server goes down.
    let mut connection = LdapConn::new(&server.url("ldap")).unwrap();
    connection.simple_bind(&dn, &secret).unwrap().success().unwrap();
    connection.unbind().unwrap();
    server.stop();
    let logins = place.run(&["event", "list", "--action", "login", "--json"]).exits(0).json();
    assert_eq!(logins.as_array().unwrap().len(), 2, "{logins}");
    place.run(&["event", "verify", "--expect", &noted]).exits(0);
}

#[test]
fn an_event_of_a_command_names_what_acted_and_who_gave_it() {
    let place = Place::new(SEED);
    let uid = rustix::process::geteuid().as_raw();
    let newest = |object: &str| {
        let events = place.run(&["event", "list", "--object", object, "--json"]).exits(0).json();
        events[0].clone()
    };
    let is_by = |event: &serde_json::Value, account: &str, number: u32, sudo_user: Option<&str>| {
        let actor = &event["actor"];
        assert_eq!((&actor["account"], &actor["number"]), (&account.into(), &number.into()), "{event}");
        assert_eq!(actor["user"]["uid"], uid, "{event}");
        assert_eq!(actor["user"]["sudo_user"].as_str(), sudo_user, "{event}");
    };
    let sudo = |arguments: &[&str], sudo_user: &str| {
        let output = place.command(arguments).env("SUDO_USER", sudo_user).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output
    };
    // On the store, and through a server.
    sudo(&["apply", "--json"], "alice");
    is_by(&newest("portal"), "bindery:config", 2_147_483_646, Some("alice"));
    let create = |name: &str| ["account", "create", name, "--json"].map(str::to_owned);
    let run = |name: &str, sudo_user: &str| {
        let arguments = create(name);
        sudo(&arguments.each_ref().map(String::as_str), sudo_user)
    };
    run("on-the-store", "bob");
    is_by(&newest("on-the-store"), "bindery:command-line", 2_147_483_647, Some("bob"));
    let server = place.serve(&[]);
    run("by-the-server", "carol");
    is_by(&newest("by-the-server"), "bindery:command-line", 2_147_483_647, Some("carol"));
    // What is no name of a user is not told.
    run("with-nobody", "a b\u{e9}");
    is_by(&newest("with-nobody"), "bindery:command-line", 2_147_483_647, None);
    place.command(&["account", "create", "without"]).env_remove("SUDO_USER").output().unwrap();
    is_by(&newest("without"), "bindery:command-line", 2_147_483_647, None);
    let ldif =
        format!("dn: uid=dora,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: dora\ncn: D\nsn: D\n");
    place.run_with_input(&["import", "-", "--users", "ou=people:uid"], &ldif).exits(0);
    assert_eq!(newest("dora")["actor"]["number"], 2_147_483_645_u32);

    // People read it too, and so do callers of the API.
    // A number alone is one in the trail of changes.
    let sequence = newest("by-the-server")["sequence"].to_string();
    let shown = place.run(&["event", "show", &sequence]).exits(0).stdout;
    assert!(shown.contains("account: bindery:command-line") && shown.contains("by sudo of carol"), "{shown}");
    let listed = place.run(&["event", "list", "--object", "by-the-server"]).exits(0).stdout;
    assert!(listed.contains("by sudo of carol"), "{listed}");
    server.stop();
    place.run(&["event", "verify"]).exits(0);
}
