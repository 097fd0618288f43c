//! Way 2, another name: what was renamed goes on under it, and the config is not told that it is gone. Whoever has given a name
//! up takes that one back, for the object that had it and for no other.

use super::*;

fn recreating(said: &str) -> SeedOptions {
    SeedOptions { recreate: vec![said.to_owned()], ..SeedOptions::default() }
}

fn is_active(doors: &Doors, username: &str) -> Option<bool> {
    doors.operator.registry.snapshot().accounts().account_named(username).map(|account| account.is_active)
}

/// Whom the config switches off does not go on for having renamed itself, whatever is recreated.
#[test]
fn who_has_renamed_itself_is_switched_off_or_stands_in_the_way() {
    let on = "[[account]]\nusername = \"robot\"\ntype = \"service_account\"\n";
    let off = format!("{on}is_active = false\n");
    let after = "[[account]]\nusername = \"robot.two\"\ntype = \"service_account\"\nis_active = false\n";
    let make = || {
        let doors = Doors::new();
        apply(&doors, on);
        robot_holds(&doors, Held::Only(&["change_user", "view_user"], &[]));
        done(&doors, &patch("/core/users/{user:robot}/", json!({ "username": "robot.two" })));
        doors
    };
    let doors = make();
    for options in [SeedOptions::default(), recreating("robot"), recreating("account:robot")] {
        let told = obstacles(&doors.config_with(&off, &options).unwrap());
        assert!(told.len() == 1 && told[0].0 == "robot", "{told:?}");
        let reason = &told[0].1;
        assert!(reason.contains("is `robot.two` now"), "{reason}");
        assert!(reason.contains("`bindery account set robot.two --rename robot`"), "{reason}");
        assert!(!reason.contains("--recreate"), "{reason}");
        assert_eq!((is_active(&doors, "robot"), is_active(&doors, "robot.two")), (None, Some(true)));
    }
    // Each of the three that are told does it.
    doors.prepare(&[patch("/core/users/{user:robot.two}/", json!({ "username": "robot" }))]);
    assert_eq!(obstacles(&apply(&doors, &off)), []);
    assert_eq!(is_active(&doors, "robot"), Some(false));

    let doors = make();
    doors.prepare(&[delete("/core/users/{user:robot.two}/")]);
    let told = obstacles(&apply(&doors, &off));
    assert!(told.len() == 1 && told[0].1.contains("--recreate account:robot"), "{told:?}");
    assert_eq!(obstacles(&doors.config_with(&off, &recreating("account:robot")).unwrap()), []);
    assert_eq!(is_active(&doors, "robot"), Some(false));

    let doors = make();
    let both = format!("{off}{after}");
    let told = apply(&doors, &both);
    assert!(
        obstacles(&told).iter().any(|(_, reason)| reason.contains("--recreate account:robot ")),
        "{told:?}"
    );
    let options = SeedOptions { adopt: adopting(&told).adopt, ..recreating("account:robot") };
    assert_eq!(obstacles(&doors.config_with(&both, &options).unwrap()), []);
    assert_eq!((is_active(&doors, "robot"), is_active(&doors, "robot.two")), (Some(false), Some(false)));
}

/// The operator may rename, and have another one made: what goes on is told.
#[test]
fn what_goes_on_beside_another_of_its_name_is_told() {
    let text = "[[account]]\nusername = \"eve\"\n";
    let doors = Doors::new();
    apply(&doors, text);
    doors.prepare(&[patch("/core/users/{user:eve}/", json!({ "username": "eve.adams" }))]);
    let plan = apply(&doors, text);
    assert_eq!(obstacles(&plan), []);
    let told: Vec<_> = plan.diff.iter().filter_map(|entry| entry.reason.as_deref()).collect();
    assert!(
        told.len() == 1 && told[0].contains("`eve.adams`") && told[0].contains("--recreate account:eve "),
        "{told:?}"
    );
    let plan = doors.config_with(text, &recreating("account:eve")).unwrap();
    let signs: Vec<_> = plan.diff.iter().map(|entry| (entry.sign, entry.name.as_str())).collect();
    assert!(
        signs.contains(&(Sign::Created, "eve")) && signs.contains(&(Sign::Skipped, "eve.adams")),
        "{signs:?}"
    );
}

/// Told of a group, `--recreate` brings back no account of that name, with its secrets.
#[test]
fn a_name_that_two_things_had_is_recreated_by_its_kind() {
    let text = "[[account]]\nusername = \"svc\"\ntype = \"service_account\"\n[[group]]\nname = \"svc\"\n";
    let doors = Doors::new();
    apply(&doors, text);
    doors.prepare(&[delete("/core/users/{user:svc}/")]);
    robot_holds(&doors, Held::AllBut(&["view_event"]));
    done(&doors, &delete("/core/groups/{group:svc}/"));
    let plan = apply(&doors, text);
    let told: Vec<_> = plan.diff.iter().filter_map(|entry| entry.reason.as_deref()).collect();
    for option in ["--recreate account:svc ", "--recreate group:svc "] {
        assert!(told.iter().any(|reason| reason.contains(option)), "{told:?}");
    }
    let told = doors.config_with(text, &recreating("svc")).unwrap_err();
    assert!(told.contains("--recreate account:svc, or --recreate group:svc"), "{told}");
    doors.config_with(text, &recreating("group:svc")).unwrap();
    let snapshot = doors.operator.registry.snapshot();
    assert!(snapshot.accounts().group_named("svc").is_some());
    assert!(snapshot.accounts().account_named("svc").is_none());
    assert!(doors.config_with(text, &recreating("token:svc")).unwrap_err().contains("nothing to recreate"));
}

#[test]
fn who_has_renamed_something_takes_that_back_for_it_alone() {
    let doors = Doors::new();
    doors.prepare(&[group("ops"), user("anna"), role("reader")]);
    robot_holds(&doors, Held::AllBut(&["view_event"]));
    // Its own person, which has rights by now that it holds itself.
    done(&doors, &user("bea"));
    doors.prepare(&[grant("/rbac/permissions/assigned_by_users/{user:bea}/assign/", "view_role")]);
    for _ in 0..2 {
        done(&doors, &patch("/core/groups/{group:ops}/", json!({ "name": "attic" })));
        done(&doors, &patch("/core/groups/{group:attic}/", json!({ "name": "ops" })));
        done(&doors, &patch("/core/users/{user:anna}/", json!({ "username": "anna.x" })));
        done(&doors, &patch("/core/users/{user:anna.x}/", json!({ "username": "anna" })));
        done(&doors, &patch("/core/users/{user:bea}/", json!({ "username": "bea.x" })));
        done(&doors, &patch("/core/users/{user:bea.x}/", json!({ "username": "bea" })));
        done(&doors, &patch("/rbac/roles/{role:reader}/", json!({ "name": "writer" })));
        done(&doors, &patch("/rbac/roles/{role:writer}/", json!({ "name": "reader" })));
    }
    // Nothing else gets the name.
    done(&doors, &patch("/core/groups/{group:ops}/", json!({ "name": "attic" })));
    refused(&doors, &group("ops"));
    done(&doors, &group("zz"));
    refused(&doors, &patch("/core/groups/{group:zz}/", json!({ "name": "ops" })));
    // Whoever is misled into giving it to another has not made that the operator's.
    doors.prepare(&[patch("/core/groups/{group:zz}/", json!({ "name": "ops" }))]);
    let told = obstacles(&apply(&doors, "[[group]]\nname = \"ops\"\n"));
    assert!(told.len() == 1 && told[0].1.contains("--adopt group:ops"), "{told:?}");
    let doors = Doors::new();
    doors.prepare(&[group("ops")]);
    robot_holds(&doors, Held::AllBut(&["view_event"]));
    done(&doors, &patch("/core/groups/{group:ops}/", json!({ "name": "attic" })));
    doors.prepare(&[patch("/core/groups/{group:attic}/", json!({ "name": "ops" }))]);
    assert_eq!(obstacles(&apply(&doors, "[[group]]\nname = \"ops\"\n")), []);
}
