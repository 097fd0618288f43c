//! What authentik's Terraform provider sends, replayed against the real binary: what a resource says is read back, so that
//! the second plan finds no difference, and what is gone is a 404, by which Terraform knows it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::authentik_clients::Served;

/// The calls of one run of Terraform, and what was made so far.
struct Run {
    served: Served,
    /// Answers by the names of the resources.
    made: BTreeMap<String, Value>,
}

impl Run {
    fn start() -> Self {
        Self { served: Served::start(), made: BTreeMap::new() }
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.served.call("admin-api", method, path, body)
    }

    /// A call that succeeds.
    #[track_caller]
    fn done(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.call(method, path, body);
        assert!((200..300).contains(&status), "{method} {path} {body:?}: {status} {answer:#}");
        answer
    }

    /// The value with what was made in the place of its names.
    fn resolved(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => {
                let name = text.strip_prefix("${").and_then(|text| text.strip_suffix('}'));
                let Some((name, field)) = name.and_then(|name| name.split_once('.')) else {
                    return value.clone();
                };
                self.made.get(name).unwrap_or_else(|| panic!("there is no {name} yet"))[field].clone()
            }
            Value::Array(list) => list.iter().map(|item| self.resolved(item)).collect(),
            Value::Object(object) => {
                object.iter().map(|(key, item)| (key.clone(), self.resolved(item))).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// The address of what was made.
    fn path(&self, resource: &Value) -> String {
        let made = &self.made[text(&resource["name"])];
        format!("{}{}/", text(&resource["collection"]), word(&made[text(&resource["id"])]))
    }

    /// Sends the body of a step and reads what has become of it.
    fn apply(&mut self, resource: &Value, step: &str) {
        let mut body = self.resolved(&resource[step]);
        if step != "create" {
            let read = self.done("GET", &self.path(resource), None);
            for field in computed(resource, step) {
                body[field] = read[field].clone();
            }
        }
        let answer = match step {
            "create" => self.done("POST", text(&resource["collection"]), Some(&body)),
            _ => self.done("PUT", &self.path(resource), Some(&body)),
        };
        self.made.insert(text(&resource["name"]).to_owned(), answer);
        self.plan(resource, step);
    }

    /// What Terraform reads before it plans is what the resource says.
    fn plan(&self, resource: &Value, step: &str) {
        let path = format!("{}{}", self.path(resource), resource["query"].as_str().unwrap_or_default());
        let read = self.done("GET", &path, None);
        let sent = self.resolved(&resource[step]);
        let sets: Vec<&str> = resource["sets"].as_array().unwrap().iter().map(text).collect();
        let computed = computed(resource, step);
        let reads = resource["reads"].as_array().unwrap().iter().map(text);
        for field in reads.filter(|field| !computed.contains(field)) {
            let (said, found) = (&sent[field], read.get(field).unwrap_or_else(|| panic!("{path}: {field}")));
            let is_same = match said {
                // To Terraform an attribute without a value and an empty one are the same.
                Value::Null => matches!(found, Value::Null) || *found == json!("") || *found == json!([]),
                _ if sets.contains(&field) => sorted(said) == sorted(found),
                _ => said == found,
            };
            let what = text(&resource["resource"]);
            assert!(is_same, "{what} {path}: {field} is said to be {said}, and read as {found}");
        }
    }
}

#[test]
fn the_second_plan_finds_no_difference() {
    let requests: Value = serde_json::from_str(include_str!("../data/terraform_requests.json")).unwrap();
    let resources = requests["resources"].as_array().unwrap();
    let mut run = Run::start();
    // What the provider looks at before anything else, and what a data source finds.
    assert_eq!(run.done("GET", "/root/config/", None)["error_reporting"]["enabled"], false);
    let certificates = run.done("GET", "/crypto/certificatekeypairs/", None);
    run.made.insert("certificate".to_owned(), certificates["results"][0].clone());

    for resource in resources {
        run.apply(resource, "create");
    }
    resources.iter().for_each(|resource| run.plan(resource, "create"));
    for permission in requests["permissions"].as_array().unwrap() {
        permission_of_a_role(&run, permission);
    }
    for resource in resources {
        run.apply(resource, "update");
    }
    resources.iter().for_each(|resource| run.plan(resource, "update"));
    // The same once more changes nothing.
    resources.iter().for_each(|resource| run.apply(resource, "update"));

    for resource in resources.iter().rev() {
        let path = run.path(resource);
        assert_eq!(run.call("DELETE", &path, None).0, 204, "{path}");
        assert_eq!(run.call("GET", &path, None).0, 404, "{path}");
    }
}

/// A permission of a role is made by its assignment, found in a list by its number or, on all objects, by its name, and
/// taken away; it is never changed.
fn permission_of_a_role(run: &Run, permission: &Value) {
    let permission = run.resolved(permission);
    let role = text(&permission["role"]);
    let mut body = Map::from_iter([("permissions".to_owned(), json!([permission["permission"]]))]);
    if let Some(model) = permission.get("model") {
        body.insert("model".to_owned(), model.clone());
        body.insert("object_pk".to_owned(), word(&permission["object_id"]).into());
    }
    let body = Value::Object(body);
    let path = |what: &str| format!("/rbac/permissions/assigned_by_roles/{role}/{what}/");
    let made = run.done("POST", &path("assign"), Some(&body));
    let [made] = made.as_array().unwrap().as_slice() else { panic!("{made:#}") };
    // A number, as text.
    let number: i32 = text(&made["id"]).parse().unwrap();
    let list = match permission.get("object_id") {
        Some(_) => format!("/rbac/permissions/roles/?uuid={role}&page=1&page_size=50"),
        None => format!("/rbac/permissions/?role={role}&page=1&page_size=50"),
    };
    let find = || {
        let found = run.done("GET", &list, None);
        let found =
            found["results"].as_array().unwrap().iter().find(|one| match permission.get("object_id") {
                Some(_) => one["id"] == number,
                None => {
                    format!("{}.{}", text(&one["app_label"]), text(&one["codename"]))
                        == permission["permission"]
                }
            });
        found.cloned()
    };
    let found = find().unwrap_or_else(|| panic!("{permission} is not in {list}"));
    let name = format!("{}.{}", text(&found["app_label"]), text(&found["codename"]));
    assert_eq!(permission["permission"], name);
    if let Some(object) = permission.get("object_id") {
        assert_eq!(found["object_pk"], word(object));
    }
    assert_eq!(run.call("PATCH", &path("unassign"), Some(&body)).0, 204);
    assert_eq!(find(), None);
}

/// What a data source looks for is found by the parameter that it sends, and what bindery does not have is a 404.
#[test]
fn data_sources_find_what_there_is() {
    let run = Run::start();
    let only = |path: &str| {
        let found = run.done("GET", path, None);
        let [one] = found["results"].as_array().unwrap().as_slice() else { panic!("{path}: {found:#}") };
        one.clone()
    };
    let alice = only("/core/users/?username=alice");
    assert_eq!(run.done("GET", &format!("/core/users/{}/", alice["pk"]), None)["username"], "alice");
    let group = only("/core/groups/?name=engineering&include_users=true");
    let members: Vec<&str> =
        group["users_obj"].as_array().unwrap().iter().map(|user| text(&user["username"])).collect();
    assert!(members.contains(&"alice"), "{members:?}");
    let permission = only("/rbac/permissions/?codename=search_full_directory");
    assert_eq!(permission["app_label"], "authentik_providers_ldap");
    let name = only("/crypto/certificatekeypairs/")["name"].clone();
    let certificate = only(&format!("/crypto/certificatekeypairs/?name={}", text(&name).replace(' ', "%20")));
    let path = format!("/crypto/certificatekeypairs/{}/", text(&certificate["pk"]));
    let shown = run.done("GET", &format!("{path}view_certificate/"), None);
    assert!(text(&shown["data"]).starts_with("-----BEGIN CERTIFICATE-----"));
    // `fetch_key = false` must be said, as the key leaves no server.
    assert_eq!(run.call("GET", &format!("{path}view_private_key/"), None).0, 403);
    for path in [
        "/flows/instances/?slug=default-authentication-flow",
        "/core/brands/?domain=authentik-default",
        "/outposts/instances/",
    ] {
        let (status, answer) = run.call("GET", path, None);
        assert_eq!(status, 404, "{path}");
        assert!(text(&answer["detail"]).contains("bindery"), "{path}: {answer}");
    }
}

/// A token that is there but not kept is no token that is gone: a 404 would make Terraform forget it and make another.
#[test]
fn a_secret_that_was_read_is_forbidden_and_not_gone() {
    let mut run = Run::start();
    let user = run.done("GET", "/core/users/?username=portal", None)["results"][0].clone();
    run.made.insert("portal".to_owned(), user);
    let token = json!({ "identifier": "tf", "user": "${portal.pk}", "expiring": true, "intent": "api" });
    run.done("POST", "/core/tokens/", Some(&run.resolved(&token)));
    // `retrieve_key` reads it once, behind the creation.
    let key = run.done("GET", "/core/tokens/tf/view_key/", None);
    assert!(text(&key["key"]).starts_with("bindery_api_"));
    let (status, answer) = run.call("GET", "/core/tokens/tf/view_key/", None);
    assert_eq!(status, 403, "{answer}");
    assert_eq!(run.call("GET", "/core/tokens/gone/view_key/", None).0, 404);
}

/// The fields of which a resource says nothing in a step, so that they are what they have become.
fn computed<'a>(resource: &'a Value, step: &str) -> Vec<&'a str> {
    let fields = resource["computed"].as_array().into_iter().flatten().map(text);
    fields.filter(|field| resource[step][field] == json!([])).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// A text or a number, as it stands in an address.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn sorted(list: &Value) -> Vec<String> {
    let mut items: Vec<String> = list.as_array().into_iter().flatten().map(Value::to_string).collect();
    items.sort_unstable();
    items
}
