//! Way 2, what is left of it: what is taken over by its name begins as one that the config has made, in all its fields, places
//! and credentials, and by nothing that it is known by is anybody else taken for it.

use serde::Serialize;

use super::*;
use crate::model::{
    AccessMode, Account, AccountKind, Application, ApplicationText, AsGiven, Attribute, AttributeForm,
    Binding, BindingMode, BindingSubject, Container, LdapProvider, Placement, Role, Token,
};

const READER: &str = "[[role]]\nname = \"reader\"\npermissions = [\"view_event\"]\n";

/// One of each kind, of which nothing is said but its name.
const ALL: &str = "[[provider]]\nname = \"p\"\nbase_dn = \"dc=p\"\n[[role]]\nname = \"r\"\n[[group]]\nname = \"g\"\n\
                   [[account]]\nusername = \"a\"\n[[account]]\nusername = \"svc\"\ntype = \"service_account\"\n\
                   [[application]]\nslug = \"app\"\nname = \"App\"\n[[token]]\nidentifier = \"t\"\naccount = \"svc\"\n";

/// What two objects that were made alike have not in common.
const OF_EACH: [&str; 10] = [
    "number",
    "uuid",
    "created",
    "modified",
    "members_modified",
    "selector",
    "hash",
    "expires",
    "renewed",
    "account",
];

type Fields = serde_json::Map<String, Value>;

fn fields(record: impl Serialize) -> Fields {
    let Value::Object(mut fields) = serde_json::to_value(record).unwrap() else { panic!("no record") };
    fields.retain(|name, _| !OF_EACH.contains(&name.as_str()));
    fields
}

fn person(name: &str, more: Value) -> Said {
    let mut body = json!({ "username": name, "name": "Somebody", "type": "internal" });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    post("/core/users/", body)
}

fn token(identifier: &str, user: &str, intent: &str) -> Said {
    let user = format!("{{user:{user}}}");
    post("/core/tokens/", json!({ "identifier": identifier, "user": user, "intent": intent }))
}

fn provider_number(doors: &Doors, name: &str) -> crate::model::ProviderNumber {
    let snapshot = doors.operator.registry.snapshot();
    let mut providers = snapshot.accounts().providers();
    providers.find(|provider| provider.name.eq_ignore_ascii_case(name)).unwrap().number
}

/// The objects of [`ALL`] as they are kept.
fn kept(doors: &Doors) -> Vec<(&'static str, Fields)> {
    let registry = &doors.operator.registry;
    let snapshot = registry.snapshot();
    let accounts = snapshot.accounts();
    let account = |name: &str| {
        let number = accounts.account_named(name).unwrap().number;
        wait(registry.change(operator(), move |transaction| transaction.account(number))).unwrap()
    };
    let group = accounts.group_named("g").unwrap().number;
    let group = wait(registry.change(operator(), move |transaction| transaction.group(group))).unwrap();
    let provider = accounts.provider(provider_number(doors, "p")).unwrap();
    vec![
        ("account", fields(account("a").unwrap())),
        ("service account", fields(account("svc").unwrap())),
        ("group", fields(group.unwrap())),
        ("role", fields(Role::clone(accounts.role_named("r").unwrap()))),
        ("application", fields(Application::clone(accounts.application_named("app").unwrap()))),
        ("provider", fields(LdapProvider::clone(provider))),
        ("token", fields(Token::clone(accounts.token_named("t").unwrap()))),
    ]
}

/// Objects that `robot` has made under the names of [`ALL`], of which something else is said in each field.
fn made_otherwise() -> Doors {
    let doors = Doors::new();
    doors.prepare(&[role("held"), group("above")]);
    robot_holds(&doors, Held::AllBut(&[]));
    let nil = uuid::Uuid::nil();
    for said in [
        user("A"),
        post("/core/users/{user:A}/set_password/", json!({ "password": "a long enough one" })),
        service("SVC"),
        token("t", "SVC", "api"),
        token("another", "SVC", "app_password"),
        group("G"),
        role("R"),
        post(
            "/providers/ldap/",
            json!({ "name": "P", "base_dn": "dc=other", "authorization_flow": nil, "invalidation_flow": nil }),
        ),
        post("/core/applications/", json!({ "slug": "app", "name": "Mine" })),
        post("/core/groups/", json!({ "name": "inner", "parents": ["{group:G}"] })),
        // Not who has made it: that would be a superuser by it, whose work is meant as it is.
        post("/core/groups/{group:G}/add_user/", json!({ "pk": "{user:A}" })),
        post("/core/groups/{group:above}/add_user/", json!({ "pk": "{user:A}" })),
    ] {
        done(&doors, &said);
    }
    let registry = &doors.operator.registry;
    let snapshot = registry.snapshot();
    let accounts = snapshot.accounts();
    let account = accounts.account_named("A").unwrap().number;
    let [group, above] = ["G", "above"].map(|name| accounts.group_named(name).unwrap().number);
    let held = accounts.role_named("held").unwrap().number;
    let grants = || vec![global(Permission::ViewUser)];
    let attributes = || {
        let of = |description: &str, value: &[u8]| Attribute {
            description: description.to_owned(),
            values: vec![value.to_vec()],
        };
        vec![of("sshPublicKey", b"ssh-ed25519 AAAA robot"), of("gidNumber", b"70000")]
    };
    let form = AttributeForm { description: "gidNumber".to_owned(), is_one: true, kinds: Vec::new() };
    let container = |name: &str| vec![Container { container: name.to_owned(), naming: "uid".to_owned() }];
    let role = Role {
        grants: grants(),
        search_size_max: Some(1),
        search_time_max: Some(std::time::Duration::from_secs(1)),
        ..Role::clone(accounts.role_named("R").unwrap())
    };
    let provider = LdapProvider {
        is_default: true,
        domain: Some("evil.example".to_owned()),
        uid_start_number: 100_000,
        gid_start_number: 200_000,
        virtual_groups: true,
        compatibility_attributes: false,
        users: container("ou=people"),
        service_accounts: container("ou=robots"),
        groups: container("ou=teams"),
        as_given: AsGiven { search_mode: AccessMode::Direct, mfa_support: true, ..AsGiven::default() },
        ..LdapProvider::clone(accounts.provider(provider_number(&doors, "P")).unwrap())
    };
    let ldap = accounts.provider(provider_number(&doors, "ldap")).unwrap();
    let ldap = LdapProvider { is_default: false, ..LdapProvider::clone(ldap) };
    let mut application = Application::clone(accounts.application_named("app").unwrap());
    for text in ApplicationText::ALL {
        application.texts.set(text, "https://evil.example/".to_owned());
    }
    let binding =
        Binding { uuid: nil, subject: BindingSubject::Group(above), order: 0, negate: true, enabled: true };
    let application = Application {
        provider: Some(provider.number),
        mode: BindingMode::All,
        bindings: vec![binding],
        open_in_new_tab: true,
        hide: true,
        ..application
    };
    let placement =
        Placement { provider: ldap.number, container: "ou=users".to_owned(), rdn: "cn=elsewhere".to_owned() };
    let in_groups = Placement { container: "ou=groups".to_owned(), ..placement.clone() };
    let changed = registry.change(operator(), move |transaction| {
        let before = transaction.account(account)?.unwrap();
        transaction.put(Record::Account(Account {
            kind: AccountKind::External,
            email: "robot@evil.example".to_owned(),
            is_active: false,
            attributes: attributes(),
            attribute_forms: vec![form.clone()],
            path: "mine".to_owned(),
            object_classes: vec!["inetOrgPerson".to_owned()],
            placements: vec![placement],
            roles: vec![held],
            grants: grants(),
            ..before
        }))?;
        let before = transaction.group(group)?.unwrap();
        transaction.put(Record::Group(crate::model::Group {
            is_superuser: true,
            parents: vec![above],
            roles: vec![held],
            grants: grants(),
            attributes: attributes(),
            attribute_forms: vec![form],
            object_classes: vec!["groupOfNames".to_owned()],
            placements: vec![in_groups],
            ..before
        }))?;
        transaction.put(Record::Role(role))?;
        transaction.put(Record::Provider(ldap))?;
        transaction.put(Record::Provider(provider))?;
        transaction.put(Record::Application(application))
    });
    wait(changed).unwrap();
    doors
}

fn taking_over(text: &str, doors: &Doors) -> SeedPlan {
    let told = apply(doors, text);
    let plan = doors.config_with(text, &adopting(&told)).unwrap();
    assert_eq!(obstacles(&plan), [], "{text}");
    assert!(apply(doors, text).diff.is_empty(), "{text}");
    plan
}

#[test]
fn what_is_taken_over_by_its_name_is_as_if_the_config_had_made_it() {
    let made = Doors::new();
    apply(&made, ALL);
    let expected = kept(&made);
    let doors = made_otherwise();
    let before = kept(&doors);
    for ((kind, before), (_, expected)) in before.iter().zip(&expected) {
        // Of these two the first says all, and of a token nobody chooses more.
        let is_all = !["service account", "token"].contains(kind);
        for (field, value) in expected.iter().filter(|(field, _)| is_all && *field != "slug") {
            assert_ne!(before.get(field), Some(value), "the test must say something else of {kind}.{field}");
        }
    }
    // Each by its name: what is told of two or more that one has made, `by:`, leaves them as they are.
    let adopt = ["provider:p", "role:r", "group:g", "account:a", "account:svc", "application:app", "token:t"];
    let adopt = adopt.iter().map(|said| (*said).to_owned()).collect();
    let plan = doors.config_with(ALL, &SeedOptions { adopt, ..SeedOptions::default() }).unwrap();
    assert_eq!(obstacles(&plan), []);
    assert!(apply(&doors, ALL).diff.is_empty());
    assert_eq!(kept(&doors), expected);
    let snapshot = doors.operator.registry.snapshot();
    let accounts = snapshot.accounts();
    let group = accounts.group_named("g").unwrap();
    assert!(group.members().next().is_none() && group.children.is_empty());
    assert!(accounts.account_named("a").unwrap().groups.is_empty());
    let tokens = |doors: &Doors| {
        let snapshot = doors.operator.registry.snapshot();
        let accounts = snapshot.accounts();
        let tokens = &accounts.account_named("svc").unwrap().tokens;
        let tokens = tokens.iter().map(|token| accounts.token(*token).unwrap().identifier.clone());
        tokens.collect::<std::collections::BTreeSet<String>>()
    };
    assert_eq!(tokens(&doors), tokens(&made));
    // What goes is told.
    let told = plan.diff.iter().flat_map(|entry| entry.fields.iter().map(move |field| (entry.kind, field)));
    let told: Vec<String> = told.map(|(kind, field)| format!("{kind}.{}", field.field)).collect();
    for field in [
        "account.attributes.sshPublicKey",
        "account.email",
        "account.password",
        "group.attributes.gidNumber",
        "group.parents",
        "role.search_size_max",
        "application.bindings",
        "application.launch_url",
        "provider.users",
        "provider.domain",
    ] {
        assert!(told.iter().any(|told| told == field), "{field}: {told:?}");
    }
}

#[test]
fn an_application_that_its_maker_has_put_before_a_provider_goes() {
    let provider = "[[provider]]\nname = \"p\"\nbase_dn = \"dc=p\"\n";
    let nil = uuid::Uuid::nil();
    let makes_provider = || {
        let body =
            json!({ "name": "p", "base_dn": "dc=p", "authorization_flow": nil, "invalidation_flow": nil });
        post("/providers/ldap/", body)
    };
    let application =
        || post("/core/applications/", json!({ "slug": "zz", "name": "Z", "provider": "{provider:p}" }));
    for is_operators in [false, true] {
        let doors = Doors::new();
        robot_holds(&doors, Held::AllBut(&[]));
        done(&doors, &makes_provider());
        match is_operators {
            true => doors.prepare(&[application()]),
            false => drop(done(&doors, &application())),
        }
        taking_over(provider, &doors);
        let snapshot = doors.operator.registry.snapshot();
        let before_it = snapshot.accounts().application_of(provider_number(&doors, "p"));
        assert_eq!(before_it.is_some(), is_operators);
    }
}

/// Whoever has set them, and whatever they have replaced.
#[test]
fn all_credentials_of_what_is_taken_over_end() {
    let tokens = |doors: &Doors, of: &str| {
        let snapshot = doors.operator.registry.snapshot();
        let accounts = snapshot.accounts();
        let tokens = accounts.account_named(of).unwrap().tokens.clone();
        let mut tokens: Vec<String> =
            tokens.iter().map(|token| accounts.token(*token).unwrap().identifier.clone()).collect();
        tokens.sort();
        tokens
    };
    let rotate = || post("/core/tokens/t1/rotate/", json!({ "overlap": 89 * 86_400 }));
    let token_of = "[[token]]\nidentifier = \"t1\"\naccount = \"svc\"\n";
    let doors = Doors::new();
    doors.prepare(&[service("svc")]);
    robot_holds(&doors, Held::AllBut(&["view_event"]));
    done(&doors, &token("t1", "svc", "app_password"));
    done(&doors, &rotate());
    assert_eq!(tokens(&doors, "svc").len(), 2);
    let plan = taking_over(token_of, &doors);
    assert!(plan.diff.iter().any(|entry| entry.name.starts_with("t1-replaced")), "{:?}", plan.diff);
    assert_eq!((tokens(&doors, "svc"), plan.needed.len()), (vec!["t1".to_owned()], 1));

    // An account and its token, in either order, and the account alone, whose token ends with all of it.
    let both = format!("[[account]]\nusername = \"svc\"\ntype = \"service_account\"\n{token_of}");
    for adopt in [vec!["account:svc", "token:t1"], vec!["token:t1", "account:svc"], vec!["account:svc"]] {
        let doors = Doors::new();
        robot_holds(&doors, Held::AllBut(&["view_event"]));
        done(&doors, &service("svc"));
        done(&doors, &token("t1", "svc", "app_password"));
        done(&doors, &rotate());
        done(&doors, &token("other", "svc", "api"));
        let told = obstacles(&apply(&doors, &both));
        assert!(told.iter().any(|(_, reason)| reason.contains("--adopt account:svc")), "{told:?}");
        let adopt = adopt.into_iter().map(str::to_owned).collect();
        let plan = doors.config_with(&both, &SeedOptions { adopt, ..SeedOptions::default() }).unwrap();
        assert_eq!(obstacles(&plan), []);
        assert_eq!(tokens(&doors, "svc"), ["svc-app-password", "t1"]);
        assert_eq!(plan.needed.len(), 2);
        assert!(apply(&doors, &both).diff.is_empty());
    }

    // A password that somebody else than the maker has set, and a name that somebody else has given.
    for renames in [false, true] {
        let doors = Doors::new();
        robot_holds(&doors, Held::AllBut(&["view_event"]));
        let made = if renames { "tmp" } else { "ceo" };
        done(&doors, &user(made));
        let path: &'static str = format!("/core/users/{{user:{made}}}/set_password/").leak();
        let sets_password = post(path, json!({ "password": "a long enough one" }));
        match renames {
            true => {
                done(&doors, &sets_password);
                doors.prepare(&[user("mallory")]);
                let registry = &doors.operator.registry;
                let snapshot = registry.snapshot();
                let number = |name: &str| snapshot.accounts().account_named(name).unwrap().number;
                let (tmp, mallory) = (number("tmp"), number("mallory"));
                let renamed = registry.change(operator(), move |transaction| {
                    let before = transaction.account(tmp)?.unwrap();
                    let (username, origin) = ("ceo".to_owned(), crate::model::Origin::Account(mallory));
                    transaction.put(Record::Account(Account { username, origin, ..before }))
                });
                wait(renamed).unwrap();
            }
            false => doors.prepare(&[sets_password]),
        }
        taking_over("[[account]]\nusername = \"ceo\"\n", &doors);
        let snapshot = doors.operator.registry.snapshot();
        assert!(snapshot.accounts().account_named("ceo").unwrap().password.is_none(), "{renames}");
    }
}

/// In one run, behind the names that are in the way themselves.
#[test]
fn what_is_known_as_what_is_taken_over_stands_in_the_way_as_well() {
    let text = format!(
        "{READER}[[account]]\nusername = \"ceo\"\nemail = \"ceo@example.net\"\n\
         [[group]]\nname = \"ops\"\nroles = [\"reader\"]\n[[group]]\nname = \"wheel\"\nattributes = {{ gidNumber = [\"7000\"] }}\n\
         [[provider]]\nname = \"p1\"\nbase_dn = \"dc=p1\"\n"
    );
    let doors = Doors::new();
    robot_holds(&doors, Held::Only(&["add_user", "add_group", "add_ldapprovider"], &[]));
    let numbered = json!({ "gidNumber": "7000" });
    let nil = uuid::Uuid::nil();
    let provider = |name: &str, base_dn: &str| {
        let body = json!({
            "name": name, "base_dn": base_dn, "domain": "", "authorization_flow": nil, "invalidation_flow": nil,
        });
        post("/providers/ldap/", body)
    };
    for said in [
        person("ceo", json!({})),
        group("ops"),
        post("/core/groups/", json!({ "name": "wheel", "attributes": numbered })),
        person("evil", json!({ "attributes": { "uid": ["ceo"] } })),
        person("evil2", json!({ "email": "ceo@example.net", "attributes": numbered })),
        post("/core/groups/", json!({ "name": "zz", "attributes": { "cn": ["zz", "ops"] } })),
        provider("p1", "dc=elsewhere"),
        provider("inside", "ou=x,dc=p1"),
    ] {
        done(&doors, &said);
    }
    let plan = apply(&doors, &text);
    let told = obstacles(&plan);
    // The two groups are told as one, by the name of the first.
    for (name, taken) in [
        ("ceo", "--adopt account:ceo takes it over"),
        ("ops", "--adopt by:robot takes them over"),
        ("p1", "--adopt provider:p1 takes it over"),
    ] {
        let of: Vec<&String> = told.iter().filter(|(on, _)| on == name).map(|(_, reason)| reason).collect();
        assert!(of.len() == 2 && of.iter().any(|reason| reason.contains(taken)), "{name} {told:?}");
    }
    assert!(told.iter().any(|(on, reason)| on == "wheel" && reason.contains("`7000`")), "{told:?}");
    for mine in ["account `evil`", "account `evil2`", "group `zz`", "provider `inside`"] {
        assert!(
            told.iter().any(|(_, reason)| reason.contains(&format!("the {mine} was made"))),
            "{mine} {told:?}"
        );
    }
    // Typed, those are left; and what of them is taken over keeps no such value either.
    let adopt = ["account:ceo", "group:ops", "group:wheel", "provider:p1"];
    let saying = |adopt: &[&str]| SeedOptions {
        adopt: adopt.iter().map(|said| (*said).to_owned()).collect(),
        ..SeedOptions::default()
    };
    let left = obstacles(&doors.config_with(&text, &saying(&adopt)).unwrap());
    assert!(!left.is_empty() && left.iter().all(|left| told.contains(left)), "{left:?}");
    let plan = apply(&doors, &text);
    assert_eq!(obstacles(&plan), told);
    doors.prepare(&[delete("/providers/ldap/{provider:inside}/")]);
    let all = [&adopt[..], &["account:evil", "account:evil2", "group:zz"]].concat();
    let plan = doors.config_with(&text, &saying(&all)).unwrap();
    assert_eq!(obstacles(&plan), []);
    let snapshot = doors.operator.registry.snapshot();
    let tree = snapshot.default_tree().unwrap();
    for (attribute, value) in
        [("uid", "ceo"), ("mail", "ceo@example.net"), ("gidNumber", "7000"), ("cn", "ops")]
    {
        let found = crate::registry::commands::testing::holders(&snapshot, tree, attribute, value);
        assert_eq!(found.len(), 1, "{attribute}={value}");
    }
    assert!(apply(&doors, &text).diff.is_empty());
}

/// Nobody was asked for it as long as that was worth nothing.
#[test]
fn what_becomes_worth_something_is_known_by_nothing_of_a_stranger() {
    let ops = "[[group]]\nname = \"ops\"\n";
    let alice = "[[account]]\nusername = \"alice\"\n";
    let bound = |group: &str| {
        format!(
            "[[application]]\nslug = \"vault\"\nname = \"Vault\"\nprovider = \"ldap\"\n\
             bindings = [{{ group = \"{group}\" }}]\n"
        )
    };
    let few = format!("[[group]]\nname = \"few\"\nmembers = [\"alice\"]\n{}", bound("few"));
    let number = |doors: &Doors| {
        let snapshot = doors.operator.registry.snapshot();
        let group = snapshot.accounts().group_named("ops").unwrap().number;
        snapshot.default_tree().unwrap().provider().gid_start_number + group.get()
    };
    for (before, after, on, name) in [
        (ops, format!("{READER}{ops}roles = [\"reader\"]\n"), ("add_user_to_group", "group:ops"), "ops"),
        // An application is bound to it, and it has no table of its own.
        (ops, bound("ops"), ("add_user_to_group", "group:ops"), "ops"),
        (alice, format!("{alice}{few}"), ("change_user", "account:alice"), "alice"),
        (alice, format!("{READER}{alice}roles = [\"reader\"]\n"), ("change_user", "account:alice"), "alice"),
    ] {
        for is_strangers in [true, false] {
            let doors = Doors::new();
            apply(&doors, before);
            robot_holds(&doors, Held::Only(&["add_user"], &[on]));
            let attributes = match name {
                "ops" => json!({ "gidNumber": number(&doors).to_string() }),
                _ => json!({ "uid": ["alice"] }),
            };
            let evil = person("evil", json!({ "attributes": attributes }));
            match is_strangers {
                true => drop(done(&doors, &evil)),
                false => doors.prepare(&[evil]),
            }
            robot_holds(&doors, Held::Only(&[], &[]));
            let plan = apply(&doors, &after);
            let told = obstacles(&plan);
            assert_eq!(
                told.iter().any(|(on, it)| on == name && it.contains("`evil`")),
                is_strangers,
                "{after}{told:?}"
            );
            // The operator's is told.
            assert_eq!(plan.shared_values.values.is_empty(), is_strangers, "{after}{:?}", plan.shared_values);
            if is_strangers {
                let adopt = SeedOptions { adopt: vec!["account:evil".to_owned()], ..SeedOptions::default() };
                assert_eq!(obstacles(&doors.config_with(&after, &adopt).unwrap()), [], "{after}");
            }
            assert!(apply(&doors, &after).diff.is_empty(), "{after}");
        }
    }
}

/// What a superuser has made stays the operator's when who made it leaves.
#[test]
fn a_superuser_who_leaves_makes_nothing_a_strangers() {
    let text = "[[group]]\nname = \"staff\"\n[[account]]\nusername = \"frank\"\n\
                [[account]]\nusername = \"svc\"\ntype = \"service_account\"\n[[token]]\nidentifier = \"t1\"\naccount = \"svc\"\n";
    let make = || {
        let doors = Doors::new();
        robot_holds(&doors, Held::Superuser);
        for said in [
            group("staff"),
            user("frank"),
            post("/core/users/{user:frank}/set_password/", json!({ "password": "a long enough one" })),
            post("/core/groups/{group:staff}/add_user/", json!({ "pk": "{user:frank}" })),
            service("svc"),
            token("t1", "svc", "app_password"),
        ] {
            done(&doors, &said);
        }
        doors
    };
    for is_applied in [true, false] {
        let doors = make();
        if is_applied {
            apply(&doors, text);
        }
        robot_holds(&doors, Held::Only(&[], &[]));
        let plan = apply(&doors, text);
        assert_eq!(obstacles(&plan), []);
        assert!(!is_applied || plan.diff.is_empty(), "{:?}", plan.diff);
        let snapshot = doors.operator.registry.snapshot();
        let frank = snapshot.accounts().account_named("frank").unwrap();
        let staff = snapshot.accounts().group_named("staff").unwrap();
        assert!(staff.has_member(frank.number) && frank.password.is_some());
    }
    // What it deletes is not made again, and nobody is asked for it.
    let doors = make();
    done(&doors, &delete("/core/groups/{group:staff}/"));
    robot_holds(&doors, Held::Only(&[], &[]));
    assert_eq!(obstacles(&apply(&doors, text)), []);
    // Who may know a secret is kept all the same.
    let doors = make();
    robot_holds(&doors, Held::Only(&[], &[]));
    let gives = format!("{READER}{text}").replace("\"frank\"\n", "\"frank\"\nroles = [\"reader\"]\n");
    let told = doors.config_with(&gives, &SeedOptions::default()).unwrap_err();
    assert!(told.contains("password:frank"), "{told}");
}
