//! The description of the API says what there is, and is one that generators can read.

use serde_json::Value;
use strongroom::router::openapi;

use crate::support::{Shop, send};

#[tokio::test]
async fn the_served_description_is_the_generated_one() {
    let shop = Shop::open().await;
    let served = send(shop.router(), "GET", "/v1/openapi.json", None, &[], false).await;
    assert_eq!(served.headers["content-type"], "application/json");
    assert_eq!(served.json, document());
}

#[test]
fn every_operation_says_what_it_answers() {
    let mut names = Vec::new();
    for (path, method, operation) in operations(&document()) {
        let name = format!("{method} {path}");
        let responses = operation["responses"].as_object().unwrap();
        let has_success = responses.keys().any(|status| status.starts_with('2'));
        assert!(has_success, "{name}: which answer is the good one?");
        // The two probes of monitors fail with a status alone.
        if !["/healthz", "/readyz"].contains(&path.as_str()) {
            let problem = &responses["default"]["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(problem, "#/components/schemas/Problem", "{name}");
        }
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(summary.len() > 5 && !summary.ends_with('.'), "{name}: {summary}");
        names.push(operation["operationId"].as_str().unwrap().to_owned());
        for place in path.split('/').filter(|part| part.starts_with('{')) {
            let wanted = place.trim_matches(['{', '}']);
            let parameters = operation["parameters"].as_array().unwrap();
            let is_there = parameters
                .iter()
                .any(|it| it["name"] == wanted && it["in"] == "path" && it["required"] == true);
            assert!(is_there, "{name}: {place} is not described");
        }
    }
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "generators name methods by `operationId`, so each has its own");
}

#[test]
fn the_description_is_of_its_version_and_refers_to_nothing_that_is_not_there() {
    let document = document();
    let version = document["openapi"].as_str().unwrap();
    assert!(version.starts_with("3.1"), "{version}");
    for part in ["title", "version"] {
        assert!(document["info"][part].is_string(), "info.{part}");
    }
    assert!(document["components"]["securitySchemes"]["api_key"].is_object());
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 30, "there are references");
    for reference in references {
        let place = reference.strip_prefix('#').expect("nothing refers to another document");
        assert!(document.pointer(place).is_some(), "{reference} is not there");
    }
}

#[test]
fn only_what_needs_no_key_says_so() {
    let document = document();
    assert_eq!(document["security"], serde_json::json!([{ "api_key": [] }]));
    let open = operations(&document).into_iter().filter(|(_, _, it)| it.get("security").is_some());
    let open: Vec<String> = open.map(|(path, _, _)| path).collect();
    let by_link = ["/share/{secret}", "/share/{secret}", "/v1/shares/open"];
    assert_eq!(open, [&["/healthz", "/readyz"][..], &by_link].concat());
}

fn document() -> Value {
    serde_json::to_value(openapi()).unwrap()
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation.get("responses").is_some() {
                operations.push((path.clone(), method.clone(), operation.clone()));
            }
        }
    }
    assert!(operations.len() > 30);
    operations
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                match inner.as_str() {
                    Some(reference) if name == "$ref" => references.push(reference.to_owned()),
                    _ => collect(inner, references),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}
