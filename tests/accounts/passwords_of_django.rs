//! An account of authentik is moved with its password: by the API, by the config and by an import. What is no hash, or costs
//! more than the limits allow, is told at each of them, and computed at none.

use crate::service_accounts::Doors;
use crate::support::BASE;
use serde_json::{Value, json};

/// What Django 5.2 makes of "correct horse", with few rounds but for argon2; how is told in `auth/password_hash/tests.rs`, where
/// those of its defaults are, too.
const HASHES: [(&str, &str); 5] = [
    (
        "pbkdf2_sha256",
        "pbkdf2_sha256$1000$YZwBkZtc9FXTmAbmUTbAgP$fbelRmKRZ9XlPezJPCvdy9uwENxrewlRs1zkI3VolRg=",
    ),
    ("pbkdf2_sha1", "pbkdf2_sha1$1000$YZwBkZtc9FXTmAbmUTbAgP$AhheK1uEWWwxQHcEjFLOmDI/58E="),
    (
        "argon2",
        "argon2$argon2id$v=19$m=102400,t=2,p=8$M1gzUG5JMm5taWY0RnNzWkdRVkJsTQ$iywpPcRIw/HRrxxRDZi1Gn7jFVS35CjzwdB7iDKSPts",
    ),
    ("bcrypt_sha256", "bcrypt_sha256$$2b$04$K6G8DvCq.T58PF5MtuLUZuj3d3N080hMYBnFkSVJSan2uHYBt.Qg2"),
    ("bcrypt", "bcrypt$$2b$04$AtY.G9CeeuFR8v8Ibx/fhe8BRE.LiEwcBrpe3eKDNDIYRDX1Ble3u"),
];

const SECRET: &str = "correct horse";

/// Who has the password binds; who has another does not, before it is hashed anew and afterwards.
#[track_caller]
fn binds(doors: &Doors, account: &str) {
    let codes =
        ["Correct horse", SECRET, SECRET, "Correct horse"].map(|secret| doors.code_of_bind(account, secret));
    assert_eq!(codes, [49, 0, 0, 49], "{account}");
}

#[test]
fn an_account_is_moved_by_each_door() {
    let doors = Doors::start();

    let ldif: String = HASHES
        .iter()
        .map(|(name, hash)| {
            format!(
                "dn: cn=ldif-{name},ou=users,{BASE}\nobjectClass: inetOrgPerson\ncn: ldif-{name}\nsn: x\n\
                 uid: ldif-{name}\nuserPassword: {hash}\n\n"
            )
        })
        .collect();
    let report =
        doors.place.run_with_input(&["import", "-", "--users", "ou=users:cn", "--json"], &ldif).exits(0);
    assert_eq!(report.json()["passwords"], 5, "{}", report.stdout);

    let seed: String = HASHES
        .iter()
        .map(|(name, hash)| {
            format!("\n[[account]]\nusername = \"seed-{name}\"\npassword_hash = \"{hash}\"\n")
        })
        .collect();
    doors.place.write("bindery.toml", &(doors.place.read("bindery.toml") + &seed));
    doors.place.run(&["apply"]).exits(0);

    for (name, hash) in HASHES {
        let user = json!({ "username": format!("api-{name}"), "name": "moved" });
        let (status, said) = doors.call_as_superuser("POST", "/api/v3/core/users/", &user);
        assert_eq!(status, 201, "{said}");
        let number = serde_json::from_str::<Value>(&said).unwrap()["pk"].to_string();
        let path = format!("/api/v3/core/users/{number}/set_password_hash/");
        let (status, said) = doors.call_as_superuser("POST", &path, &json!({ "password": hash }));
        assert_eq!((status, said.as_str()), (204, ""), "{name}");
        for door in ["ldif", "seed", "api"] {
            binds(&doors, &format!("{door}-{name}"));
        }
    }
    // What was hashed anew since is not put back by the config that gave it.
    doors.place.run(&["apply"]).exits(0);
    binds(&doors, "seed-pbkdf2_sha256");
}

#[test]
fn what_is_damaged_or_costs_too_much_is_told() {
    let doors = Doors::start();
    let of = |name: &str| HASHES.iter().find(|(other, _)| *other == name).unwrap().1;
    let (pbkdf2, argon2, bcrypt) = (of("pbkdf2_sha256"), of("argon2"), of("bcrypt_sha256"));
    let refused = [
        (pbkdf2.replace("$1000$", "$2000001$"), "above pbkdf2_rounds_max = 2000000"),
        (pbkdf2.replace("$1000$", "$4294967295$"), "above pbkdf2_rounds_max = 2000000"),
        (pbkdf2.replace("$1000$", "$99999999999999$"), "pbkdf2_sha256$ hash is damaged or cut off"),
        (pbkdf2.replace("$1000$", "$0$"), "pbkdf2_sha256$ hash is damaged or cut off"),
        (pbkdf2[..60].to_owned(), "pbkdf2_sha256$ hash is damaged or cut off"),
        (argon2.replace("m=102400", "m=131073"), "above argon2_memory_max = 131072"),
        (argon2.replace("m=102400", "m=4294967295"), "above argon2_memory_max = 131072"),
        (argon2.replace("t=2", "t=9"), "above argon2_time_cost_max = 8"),
        (argon2.replace("p=8", "p=9"), "above argon2_parallelism_max = 8"),
        (argon2.replace("m=102400", "m=7"), "argon2$ hash is damaged or cut off"),
        (bcrypt.replace("$04$", "$31$"), "above bcrypt_cost_max = 14"),
        (bcrypt.replace("$2b$", "$2x$"), "bcrypt_sha256$ hash is damaged or cut off"),
        (
            "scrypt$16384$gtPYF2ni3lnhK6V97GZIN2$8$5$CtHrzHIleKdf".to_owned(),
            "the scheme scrypt$ is not supported",
        ),
        ("md5$salt$0123456789abcdef0123456789abcdef".to_owned(), "the scheme md5$ is not supported"),
    ];
    let alice = doors.number("alice");
    for (hash, reason) in &refused {
        let path = format!("/api/v3/core/users/{alice}/set_password_hash/");
        let (status, said) = doors.call_as_superuser("POST", &path, &json!({ "password": hash }));
        let said: Value = serde_json::from_str(&said).unwrap();
        let told = said["password"][0].as_str().unwrap_or_default();
        assert!(status == 400 && told.contains(reason), "{hash}: {status} {said}");

        let config = doors.place.read("bindery.toml");
        doors.place.write(
            "bindery.toml",
            &format!("{config}\n[[account]]\nusername = \"x\"\npassword_hash = \"{hash}\"\n"),
        );
        doors.place.run(&["apply"]).exits(3).says(&[reason]);
        doors.place.write("bindery.toml", &config);
    }
    let ldif: String = refused
        .iter()
        .enumerate()
        .map(|(number, (hash, _))| {
            format!(
                "dn: cn=x{number},ou=users,{BASE}\nobjectClass: inetOrgPerson\ncn: x{number}\nsn: x\n\
                 uid: x{number}\nuserPassword: {hash}\n\n"
            )
        })
        .collect();
    let report = doors
        .place
        .run_with_input(&["import", "-", "--users", "ou=users:cn", "--json"], &ldif)
        .exits(0)
        .json();
    assert_eq!(report["passwords"], 0, "{report}");
    for (number, (hash, reason)) in refused.iter().enumerate() {
        assert!(report["left_out"].to_string().contains(reason), "{reason}: {report}");
        assert_eq!(doors.code_of_bind(&format!("x{number}"), hash), 49, "a hash is no password: {hash}");
    }
}
