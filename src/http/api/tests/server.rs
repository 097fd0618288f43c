//! `admin/` and `root/`

use super::super::route::NoParameters;
use super::super::{TakesSecrets, server};
use super::*;

#[tokio::test]
async fn the_server_tells_of_itself() {
    let world = World::new();
    assert_eq!(world.get("/admin/version/").await["version_current"], env!("CARGO_PKG_VERSION"));
    assert_eq!(world.get("/admin/version/history/?search=1&ordering=id").await, json!([]));
    let system = world.get("/admin/system/").await;
    assert_eq!(system["http_headers"], json!({}));
    assert_eq!(world.get("/root/config/").await["error_reporting"]["enabled"], false);
}

#[tokio::test]
async fn a_stranger_may_ask_for_the_config_only() {
    let world = World::new();
    let public = router(Api::new(Arc::clone(&world.registry), Door::Public));
    for (path, expected) in [
        ("/root/config/", StatusCode::OK),
        ("/admin/version/", StatusCode::UNAUTHORIZED),
        ("/admin/system/", StatusCode::UNAUTHORIZED),
    ] {
        let request = Request::builder().uri(path).extension(TakesSecrets(true)).body(Body::empty()).unwrap();
        assert_eq!(public.clone().oneshot(request).await.unwrap().status(), expected, "{path}");
    }
}

#[tokio::test]
async fn the_system_is_told_to_those_who_may_know_it() {
    let world = World::new();
    let nobody = world.caller("nobody", &[]).await;
    let refused = server::system(&world.reading(&nobody, &[]), NoParameters {}).unwrap_err();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let viewer = world.caller("viewer", &[(Permission::ViewSystemInfo, None)]).await;
    assert!(server::system(&world.reading(&viewer, &[]), NoParameters {}).is_ok());
}

#[tokio::test]
async fn a_head_uses_nothing_up() {
    let world = World::new();
    let user = world.post("/core/users/", json!({ "username": "robot", "name": "" })).await["pk"].clone();
    world.post("/core/tokens/", json!({ "identifier": "of-robot", "intent": "api", "user": user })).await;
    let path = "/core/tokens/of-robot/view_key/";
    assert_eq!(world.status(Method::HEAD, path, Value::Null).await, StatusCode::METHOD_NOT_ALLOWED);
    assert!(world.get(path).await["key"].is_string());
    // Once: this is what the HEAD would have taken.
    let (status, answer) = world.call(Method::GET, path, Value::Null).await;
    assert_eq!((status, &answer["code"]), (StatusCode::FORBIDDEN, &json!("not_kept")), "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("is not kept"), "{answer}");
    assert_eq!(world.status(Method::HEAD, "/core/tokens/of-robot/", Value::Null).await, StatusCode::OK);
}
