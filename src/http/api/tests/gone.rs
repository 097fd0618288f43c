//! Lists that are read while somebody deletes, or while others hold the memory of answers: a list is of one revision, of which
//! the records may have gone since.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::config::{Limit, Limits};
use crate::http::api::answer::WrittenPage;
use crate::http::api::refusal::CallRefusal;
use crate::http::api::route::Answer;
use crate::http::api::{group, token, user_list};

/// The list that is written, as its client reads it.
async fn read<V: Serialize>(reading: &Reading, list: Result<WrittenPage<V>, CallRefusal>) -> Value
where
    WrittenPage<V>: Answer,
{
    let answer = list.unwrap().respond(StatusCode::OK, &reading.room).unwrap();
    let octets = to_bytes(answer.into_body(), 4 << 20).await.unwrap();
    serde_json::from_slice(&octets).unwrap()
}

/// What a field has in the results of a page that counts so many of them.
fn shown(page: &Value, field: &str, count: usize) -> Vec<String> {
    assert_eq!(page["pagination"]["count"], count, "{page}");
    let results = page["results"].as_array().unwrap().iter();
    results.map(|result| result[field].as_str().unwrap().to_owned()).collect()
}

fn query<Q: DeserializeOwned>(said: Value) -> Q {
    serde_json::from_value(said).unwrap()
}

#[tokio::test]
async fn what_has_gone_since_a_list_was_begun_is_left_out() {
    let world = World::new();
    let mut accounts = Vec::new();
    for name in ["alice", "bob", "carol"] {
        let account = world.account(name).await;
        world
            .patch(&format!("/core/users/{account}/"), json!({ "email": format!("{name}@example.com") }))
            .await;
        let token = json!({ "identifier": format!("of-{name}"), "user": account.get(), "intent": "api" });
        world.post("/core/tokens/", token).await;
        accounts.push(account);
    }
    let mut groups = Vec::new();
    let above = world.post("/core/groups/", json!({ "name": "above" })).await["pk"].clone();
    for (name, number) in ["crew", "staff"].into_iter().zip(&accounts) {
        let group = json!({ "name": name, "users": [number.get()], "parents": [above] });
        groups.push(world.post("/core/groups/", group).await["pk"].as_str().unwrap().to_owned());
    }
    let whole = world.reading(&operator(), &[]);
    let mut ordered = world.reading(&operator(), &[]);
    ordered.page.ordering = Some("-name".to_owned());
    for account in [accounts[0], accounts[2]] {
        world.delete(&format!("/core/users/{account}/")).await;
    }
    world.delete(&format!("/core/groups/{}/", groups[0])).await;
    world.delete(&format!("/core/groups/{}/", above.as_str().unwrap())).await;

    // They count, as they are of the revision that the pages are cut from, and are on no page.
    let users = || query(json!({ "type": ["internal"] }));
    let page = read(&whole, user_list::list(&whole, users())).await;
    assert_eq!(shown(&page, "username", 3), ["bob"]);
    let all = json!({ "include_parents": true, "include_users": true });
    let page = read(&whole, group::list(&whole, query(all))).await;
    assert_eq!(shown(&page, "name", 3), ["staff"]);
    assert_eq!(page["results"][0]["parents_obj"], json!([]), "it is nothing without its record");
    let page = read(&whole, token::list(&whole, query(json!({})))).await;
    assert_eq!(shown(&page, "identifier", 3), ["of-bob"]);

    // Where the list is found or ordered by what stands in records they do not even count.
    for (said, found) in [
        (json!({ "email": "bob@example.com" }), vec!["bob"]),
        (json!({ "email": "alice@example.com" }), vec![]),
        (json!({ "path": "users", "type": ["internal"] }), vec!["bob"]),
    ] {
        let page = read(&whole, user_list::list(&whole, query(said.clone()))).await;
        assert_eq!(shown(&page, "username", found.len()), found, "{said}");
    }
    let page = read(&ordered, user_list::list(&ordered, users())).await;
    assert_eq!(shown(&page, "username", 1), ["bob"]);
    assert_eq!(world.listed("/core/users/?type=internal", "username").await, ["bob"]);
}

/// What all items of a list are ordered by is held until they are in order.
#[tokio::test]
async fn what_a_list_is_ordered_by_counts_and_what_it_is_found_by_is_not_kept() {
    const PEOPLE: usize = 300;
    let world = World::new();
    let make = |transaction: &mut Transaction<'_>| {
        for number in 0..PEOPLE {
            let name = Some(format!("{number} {}", "x".repeat(4_000)));
            let (username, changes) = (format!("p{number}"), AccountChanges { name, ..Default::default() });
            create_account(transaction, username, AccountKind::Internal, changes)?;
        }
        Ok(())
    };
    world.change(&operator(), make).await.unwrap();
    let limits = Limits { http_answer_memory_max: 16 << 20, ..Limits::default() };
    let api = Api::new(Arc::clone(&world.registry), Door::Public).with_limits(&limits);
    let memory = &api.bounds.answer_memory;
    let list = |page: PageQuery, said: Value| {
        let page = page.with_words().unwrap();
        let reading = Call::new(&api, operator(), page, Vec::new()).reading();
        user_list::list(&reading, query(said)).map(|list| list.page.pagination.count)
    };
    let by = |ordering: &str| PageQuery { ordering: Some(ordering.to_owned()), ..PageQuery::default() };
    // What is left is less than their names together, and far more than a page of them.
    let mut others = memory.share(Default::default());
    others.force((16 << 20) - (2 << 20));
    let searched = PageQuery { search: Some("x".to_owned()), ..PageQuery::default() };
    assert_eq!(list(searched, json!({ "type": ["internal"] })), Ok(PEOPLE));
    assert_eq!(list(PageQuery::default(), json!({ "path": "users", "type": ["internal"] })), Ok(PEOPLE));
    assert_eq!(list(by("pk"), json!({ "path": "users" })), Ok(PEOPLE));
    let reached = || world.registry.reached().count(Limit::http_answer_memory_max);
    assert_eq!(reached(), 0);
    let refused = list(by("name"), json!({ "type": ["internal"] })).unwrap_err();
    assert_eq!((refused.status(), reached()), (StatusCode::SERVICE_UNAVAILABLE, 1));
    drop(others);
    assert_eq!(list(by("name"), json!({ "type": ["internal"] })), Ok(PEOPLE));
    assert_eq!(memory.used(), 0);
}
