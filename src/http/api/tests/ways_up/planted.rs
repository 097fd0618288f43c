//! Way 3, before there is anything in whose way it stands: values by which others are yet to be known, providers in front of
//! those that are yet to come, names of a file that is yet to be imported. Where a stranger has put them they stop the config,
//! and a file goes without; where a superuser has, they are told.

use super::*;

fn person(name: &str, more: Value) -> Said {
    let mut body = json!({ "username": name, "name": "Somebody", "type": "internal" });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    post("/core/users/", body)
}

fn team(name: &str, attributes: Value) -> Said {
    post("/core/groups/", json!({ "name": name, "attributes": attributes }))
}

/// A provider that takes no domain.
fn provider(base_dn: &str) -> Said {
    let nil = uuid::Uuid::nil();
    let body = json!({
        "name": "mine", "base_dn": base_dn, "domain": "", "authorization_flow": nil, "invalidation_flow": nil,
    });
    post("/providers/ldap/", body)
}

/// What `robot` needs, what it does, the name of that, what the config says then, and the name of what it is in the way of.
fn planted() -> Vec<(&'static str, Said, &'static str, &'static str, &'static str)> {
    let wheel = "[[role]]\nname = \"r\"\npermissions = [\"view_event\"]\n\
                 [[group]]\nname = \"wheel\"\nattributes = { gidNumber = [\"7000\"] }\nroles = [\"r\"]\n";
    let ceo = "[[account]]\nusername = \"ceo\"\nname = \"Chief\"\nemail = \"chief@example.net\"\n";
    let domain = "[[provider]]\nname = \"second\"\nbase_dn = \"dc=second\"\ndomain = \"planted.example\"\n\
                  [[account]]\nusername = \"alice\"\n";
    let below = "[[provider]]\nname = \"p2\"\nbase_dn = \"dc=p2,dc=example\"\n\
                 users = [{ container = \"ou=staff,ou=corp\", naming = \"cn\" }]\n";
    vec![
        ("add_user", person("zz", json!({ "attributes": { "gidNumber": "7000" } })), "zz", wheel, "wheel"),
        ("add_group", team("zz", json!({ "gidNumber": "7000" })), "zz", wheel, "wheel"),
        ("add_group", team("zz", json!({ "cn": ["zz", "WHEEL"] })), "zz", wheel, "wheel"),
        (
            "add_group",
            team("zz", json!({ "gidNumber": "7001" })),
            "zz",
            "[[account]]\nusername = \"new\"\nattributes = { gidNumber = [\"7001\"] }\n",
            "new",
        ),
        ("add_user", person("zz", json!({ "attributes": { "uid": ["ceo"] } })), "zz", ceo, "ceo"),
        ("add_user", person("zz", json!({ "email": "Chief@example.net" })), "zz", ceo, "ceo"),
        ("add_user", person("chief@example.net", json!({})), "chief@example.net", ceo, "ceo"),
        ("add_group", team("zz", json!({ "mail": "chief@example.net" })), "zz", ceo, "ceo"),
        ("add_user", person("alice@planted.example", json!({})), "alice@planted.example", domain, "second"),
        ("add_user", person("zz", json!({ "email": "alice@planted.example" })), "zz", domain, "second"),
        ("add_ldapprovider", provider("ou=corp,dc=p2,dc=example"), "mine", below, "p2"),
        ("add_ldapprovider", provider("dc=example"), "mine", below, "p2"),
    ]
}

#[test]
fn what_a_stranger_has_planted_stands_in_the_way() {
    for (permission, said, mine, text, name) in planted() {
        // The other is made first, but for what is asked about.
        let before = "[[account]]\nusername = \"alice\"\n";
        let doors = Doors::new();
        apply(&doors, before);
        robot_holds(&doors, Held::Only(&[permission], &[]));
        done(&doors, &said);
        let told = obstacles(&apply(&doors, text));
        assert!(told.iter().any(|(told, _)| told == name), "{said:?} {text} {told:?}");
        for (told, reason) in &told {
            assert!([name, "alice"].contains(&told.as_str()), "{said:?} {text} {reason}");
            assert!(reason.contains(&format!("`{mine}` was made by `robot`")), "{reason}");
            // A provider that is taken over would stand where it does.
            let what_to_do = if permission == "add_ldapprovider" { "provider delete" } else { "--adopt" };
            assert!(reason.contains(what_to_do), "{reason}");
        }
        let adopt = SeedOptions { adopt: vec![mine.to_owned()], ..SeedOptions::default() };
        let plan = doors.config_with(text, &adopt).unwrap();
        assert_eq!(obstacles(&plan), [], "{text}");
        assert!(apply(&doors, text).diff.is_empty(), "{text}");

        // Whoever may everything may do this too, and it is told.
        let doors = Doors::new();
        apply(&doors, before);
        robot_holds(&doors, Held::Superuser);
        done(&doors, &said);
        let plan = apply(&doors, text);
        assert_eq!(obstacles(&plan), [], "{text}");
        // Who gives an account the number of a group says so.
        let is_said = permission == "add_ldapprovider" || name == "new";
        assert_eq!(plan.shared_values.values.is_empty(), is_said, "{said:?} {text}");
    }
}

#[test]
fn all_that_is_planted_for_one_thing_is_told_at_once() {
    let doors = Doors::new();
    robot_holds(&doors, Held::Only(&["add_user"], &[]));
    let numbered = || json!({ "attributes": { "gidNumber": "7000" } });
    for name in ["one", "two", "three"] {
        done(&doors, &person(name, numbered()));
    }
    let wheel = "[[role]]\nname = \"r\"\npermissions = [\"view_event\"]\n\
                 [[group]]\nname = \"wheel\"\nattributes = { gidNumber = [\"7000\"] }\nroles = [\"r\"]\n";
    let told = obstacles(&apply(&doors, wheel));
    let is_told = |name: &str| told[0].1.contains(&format!("the account `{name}` was made"));
    assert!(told.len() == 1 && ["one", "two", "three"].iter().all(|name| is_told(name)), "{told:?}");
}

/// Where numbers begin decides whose number one is that was given before.
#[test]
fn a_number_that_is_yet_to_be_derived_is_told() {
    for is_strangers in [true, false] {
        let doors = Doors::new();
        let alice = "[[account]]\nusername = \"alice\"\n";
        apply(&doors, alice);
        let snapshot = doors.operator.registry.snapshot();
        let start = 90_000 - snapshot.accounts().account_named("alice").unwrap().number.get();
        robot_holds(&doors, if is_strangers { Held::Only(&["add_group"], &[]) } else { Held::Superuser });
        done(&doors, &team("zz", json!({ "gidNumber": "90000" })));
        let text = format!(
            "{alice}[[provider]]\nname = \"second\"\nbase_dn = \"dc=second\"\ngid_start_number = {start}\n"
        );
        let plan = apply(&doors, &text);
        let told: Vec<String> = obstacles(&plan).into_iter().map(|(name, _)| name).collect();
        assert_eq!(told.is_empty(), !is_strangers, "{told:?}");
        assert_eq!(plan.shared_values.values.len(), usize::from(!is_strangers), "{:?}", plan.shared_values);
    }
}

/// A superuser who makes a group of a number is told whom hosts take for a member of it; who gives an account the number of a
/// group has said so.
#[test]
fn numbers_that_are_shared_are_told() {
    let doors = Doors::new();
    robot_holds(&doors, Held::Superuser);
    let numbered = json!({ "gidNumber": "8000" });
    done(&doors, &person("early", json!({ "attributes": numbered })));
    let made = done(&doors, &team("eight", numbered.clone()));
    assert!(made.contains("\"shared_values\":{") && made.contains("early"), "{made}");
    let late = done(&doors, &person("late", json!({ "attributes": numbered })));
    assert!(late.contains("\"shared_values\":null") || !late.contains("shared_values"), "{late}");
}

/// One value of one person, whatever the attribute is called.
#[test]
fn an_address_of_another_is_not_taken_by_any_attribute() {
    let make = || {
        let doors = Doors::new();
        doors.prepare(&[
            user("boss"),
            patch("/core/users/{user:boss}/", json!({ "attributes": { "email": "boss@example.net" } })),
        ]);
        doors
    };
    let takes = json!({ "email": "boss@example.net" });
    both_ways(
        &make,
        Held::Only(&["add_user"], &[]),
        Held::AllBut(&[]),
        &[person("zz", json!({ "attributes": takes }))],
    );
    both_ways(&make, Held::Only(&["add_group"], &[]), Held::AllBut(&[]), &[team("zz", takes)]);
}

fn entry(dn: &str, class: &str, lines: &str) -> String {
    format!("dn: {dn},dc=example,dc=com\nobjectClass: {class}\n{lines}\n")
}

/// People and groups of a file, of which a stranger has some names.
fn file() -> String {
    let member = |name: &str| format!("member: cn={name},ou=users,dc=example,dc=com\n");
    [
        entry("cn=ceo,ou=users", "inetOrgPerson", "cn: ceo\nsn: x\nuid: ceo\nmail: ceo@example.net\n"),
        entry("cn=bob,ou=users", "inetOrgPerson", "cn: bob\nsn: x\nuid: bob\n"),
        entry(
            "cn=finance,ou=groups",
            "groupOfNames",
            &format!("cn: finance\n{}{}", member("ceo"), member("bob")),
        ),
        entry(
            "cn=board,ou=groups",
            "groupOfNames",
            &format!("cn: board\n{}{}", member("ceo"), member("bob")),
        ),
    ]
    .concat()
}

#[test]
fn a_file_goes_without_what_a_stranger_has_made_under_its_names() {
    for is_strangers in [true, false] {
        let doors = Doors::new();
        let held = if is_strangers { Held::Only(&["add_user", "add_group"], &[]) } else { Held::Superuser };
        robot_holds(&doors, held);
        done(&doors, &user("ceo"));
        done(&doors, &group("finance"));
        let report = doors.import(&[], &file());
        let snapshot = doors.operator.registry.snapshot();
        let accounts = snapshot.accounts();
        let is_in = |account: &str, group: &str| {
            let account = accounts.account_named(account).unwrap().number;
            accounts.group_named(group).unwrap().has_member(account)
        };
        assert!(is_in("bob", "board"), "{report}");
        for (account, group) in [("ceo", "board"), ("ceo", "finance"), ("bob", "finance")] {
            assert_eq!(is_in(account, group), !is_strangers, "{account} {group} {report}");
        }
        let whose = ["account `ceo`", "group `finance`"]
            .map(|whose| report.contains(&format!("the {whose} was made")));
        assert_eq!(whose, [is_strangers; 2], "{report}");
        // What is left of the entry that was there.
        assert_eq!(report.contains("the entry is there already"), !is_strangers, "{report}");
        // A member whose entry is not in the file, and by its name.
        let more =
            entry(
                "cn=late,ou=groups",
                "groupOfNames",
                "cn: late\nmember: cn=ceo,ou=users,dc=example,dc=com\n",
            ) + &entry("cn=later,ou=groups", "posixGroup", "cn: later\ngidNumber: 9000\nmemberUid: ceo\n")
                + &entry(
                    "cn=last,ou=groups",
                    "groupOfNames",
                    "cn: last\nmember: cn=finance,ou=groups,dc=example,dc=com\n",
                );
        let report = doors.import(&[], &more);
        let snapshot = doors.operator.registry.snapshot();
        let accounts = snapshot.accounts();
        let ceo = accounts.account_named("ceo").unwrap().number;
        for name in ["late", "later"] {
            assert_eq!(accounts.group_named(name).unwrap().has_member(ceo), !is_strangers, "{name} {report}");
        }
        let finance = accounts.group_named("finance").unwrap();
        assert_eq!(finance.parents.is_empty(), is_strangers, "{report}");
    }
}

#[test]
fn a_file_shares_no_value_with_what_a_stranger_has_made() {
    let text = [
        entry("cn=ann,ou=users", "inetOrgPerson", "cn: ann\nsn: x\nmail: ann@example.net\n"),
        entry("cn=bob,ou=users", "inetOrgPerson", "cn: bob\nsn: x\n"),
        entry("cn=crew,ou=groups", "posixGroup", "cn: crew\ngidNumber: 7000\n"),
        entry("cn=wheel,ou=groups", "groupOfNames", "cn: wheel\n"),
        entry("cn=free,ou=groups", "posixGroup", "cn: free\ngidNumber: 7001\n"),
    ]
    .concat();
    for is_strangers in [true, false] {
        let doors = Doors::new();
        let held = if is_strangers { Held::Only(&["add_user", "add_group"], &[]) } else { Held::Superuser };
        robot_holds(&doors, held);
        done(&doors, &person("zz", json!({ "email": "ann@example.net", "attributes": { "uid": ["bob"] } })));
        done(&doors, &team("gg", json!({ "gidNumber": "7000", "cn": ["gg", "wheel"] })));
        let report = doors.import(&[], &text);
        let snapshot = doors.operator.registry.snapshot();
        let (accounts, tree) = (snapshot.accounts(), snapshot.default_tree().unwrap());
        let found = |attribute: &str, value: &str| {
            crate::registry::commands::testing::holders(&snapshot, tree, attribute, value).len()
        };
        let both = if is_strangers { 1 } else { 2 };
        assert_eq!(found("mail", "ann@example.net"), both, "{report}");
        assert_eq!(found("gidNumber", "7000"), both, "{report}");
        assert_eq!(found("gidNumber", "7001"), 1, "{report}");
        for name in ["ann", "crew", "free"] {
            let is_there = accounts.account_named(name).is_some() || accounts.group_named(name).is_some();
            assert!(is_there, "{name} {report}");
        }
        assert_eq!(accounts.account_named("bob").is_none(), is_strangers, "{report}");
        assert_eq!(accounts.group_named("wheel").is_none(), is_strangers, "{report}");
        assert_eq!(report.contains("by `robot`"), is_strangers, "{report}");
        // An entry that came in without it is not given it by another import.
        assert_eq!(
            report.contains("`bindery account set` or `bindery group set` gives it"),
            is_strangers,
            "{report}"
        );
        assert_eq!(report.contains("; then import again"), is_strangers, "{report}");
    }
}
