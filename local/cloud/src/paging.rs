//! Listings in pages: what a caller asks for, and the part of the list that it is given.
//!
//! The services differ in their words and limits and in nothing else. A page begins at a position,
//! not behind an item: where the list changes in between, a caller may miss or repeat one, as it
//! may with the real services.

use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, json};

use crate::wire::ApiError;

/// How Elastic Load Balancing is asked for a page. Flattened into the parameters of a listing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ByMarker {
    marker: Option<String>,
    #[serde(default, deserialize_with = "number")]
    page_size: Option<usize>,
}

/// How the other services are asked for a page. Flattened into the parameters of a listing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ByToken {
    next_token: Option<String>,
    #[serde(default, deserialize_with = "number")]
    max_results: Option<usize>,
}

impl ByMarker {
    /// The page of a listing under `name`, as Elastic Load Balancing gives it.
    pub(crate) fn elb(&self, name: &str, items: Vec<Value>) -> Result<Value, ApiError> {
        let size = size(self.page_size, 400, |size| {
            ApiError::validation(format!("PageSize must be between 1 and 400, not {size}"))
        })?;
        let (items, next) = cut(items, self.marker.as_deref(), size)
            .ok_or_else(|| ApiError::validation("the Marker is not one that was returned here"))?;
        Ok(json!({name: items, "NextMarker": next}))
    }
}

impl ByToken {
    /// Whether the caller bounds the page: some listings do not allow it with everything.
    pub(crate) fn is_bounded(&self) -> bool {
        self.max_results.is_some()
    }

    /// The page of a listing under `name`, as EC2 gives it.
    pub(crate) fn ec2(&self, name: &str, items: Vec<Value>) -> Result<Value, ApiError> {
        let size = size(self.max_results, 1000, |size| {
            ApiError::sender(
                "InvalidParameterValue",
                format!("Value ( {size} ) for parameter maxResults is invalid"),
            )
        })?;
        let (items, next) = cut(items, self.next_token.as_deref(), size)
            .ok_or_else(|| ApiError::sender("InvalidNextToken", "the token is not one of ours"))?;
        Ok(json!({name: items, "nextToken": next}))
    }

    /// The page of a listing under `name`, as Systems Manager gives it.
    pub(crate) fn ssm(&self, name: &str, items: Vec<Value>) -> Result<Value, ApiError> {
        let size = size(self.max_results, 50, |size| {
            ApiError::sender(
                "ValidationException",
                format!("MaxResults must be between 1 and 50, not {size}"),
            )
        })?;
        let (items, next) = cut(items, self.next_token.as_deref(), size).ok_or_else(|| {
            ApiError::sender("InvalidNextToken", "The specified token is not valid.")
        })?;
        Ok(json!({name: items, "NextToken": next}))
    }
}

/// How many items a page has: what was asked for, or the most that is allowed.
fn size(
    wanted: Option<usize>,
    most: usize,
    refused: impl FnOnce(usize) -> ApiError,
) -> Result<usize, ApiError> {
    match wanted {
        None => Ok(most),
        Some(size) if (1..=most).contains(&size) => Ok(size),
        Some(size) => Err(refused(size)),
    }
}

/// A part of a longer list, and the token of the next part. `None` for a token that was not issued
/// here.
fn cut<T>(items: Vec<T>, token: Option<&str>, size: usize) -> Option<(Vec<T>, Option<String>)> {
    let start = match token {
        None => 0,
        Some(token) => token.strip_prefix("page-")?.parse::<usize>().ok()?,
    };
    let end = start.saturating_add(size);
    let next = (end < items.len()).then(|| format!("page-{end}"));
    Some((items.into_iter().skip(start).take(size).collect(), next))
}

/// A number, or its text: what is flattened has lost which of the two the protocol writes.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(usize),
        Text(String),
    }
    Ok(match Option::<Written>::deserialize(deserializer)? {
        None => None,
        Some(Written::Number(number)) => Some(number),
        Some(Written::Text(text)) => Some(text.parse().map_err(|_| {
            de::Error::custom(format!("'{text}' is not a number of items for a page"))
        })?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Dialect, Params};

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Marked {
        #[serde(default)]
        names: Vec<String>,
        #[serde(flatten)]
        page: ByMarker,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Tokened {
        #[serde(flatten)]
        page: ByToken,
    }

    fn letters() -> Vec<Value> {
        ["a", "b", "c"].map(Value::from).to_vec()
    }

    fn marked(form: &str) -> Result<Value, ApiError> {
        let input: Marked = Params::from_form(form.as_bytes(), Dialect::Query)?.read()?;
        assert_eq!(input.names, ["x"], "the parameters beside it are read");
        input.page.elb("Letters", letters())
    }

    fn tokened(json: Value) -> ByToken {
        Params::Json(json).read::<Tokened>().unwrap().page
    }

    #[test]
    fn every_item_is_on_one_page() {
        let first = marked("Names.member.1=x&PageSize=2").unwrap();
        assert_eq!(
            first,
            json!({"Letters": ["a", "b"], "NextMarker": "page-2"})
        );
        let last = marked("Names.member.1=x&PageSize=2&Marker=page-2").unwrap();
        assert_eq!(last, json!({"Letters": ["c"], "NextMarker": null}));
    }

    #[test]
    fn without_a_size_a_page_holds_the_most_that_is_allowed() {
        let all = json!({"Letters": ["a", "b", "c"], "NextMarker": null});
        assert_eq!(marked("Names.member.1=x").unwrap(), all);
        let many = vec![Value::Null; 1001];
        let page = tokened(json!({}));
        let ec2 = page.ec2("Many", many.clone()).unwrap();
        assert_eq!(ec2["Many"].as_array().map(Vec::len), Some(1000));
        assert_eq!(ec2["nextToken"], "page-1000");
        let ssm = page.ssm("Many", many).unwrap();
        assert_eq!(ssm["Many"].as_array().map(Vec::len), Some(50));
        assert_eq!(ssm["NextToken"], "page-50");
    }

    #[test]
    fn a_page_behind_the_end_is_empty() {
        let page = tokened(json!({"NextToken": "page-7"}));
        let empty = json!({"Letters": [], "NextToken": null});
        assert_eq!(page.ssm("Letters", letters()).unwrap(), empty);
    }

    #[test]
    fn each_service_refuses_a_size_in_its_own_words() {
        for size in [0, 401] {
            let err = marked(&format!("Names.member.1=x&PageSize={size}")).unwrap_err();
            assert!(err.message.contains("between 1 and 400"), "{err}");
        }
        let page = tokened(json!({"MaxResults": 1001}));
        let ec2 = page.ec2("Letters", letters()).unwrap_err();
        assert_eq!(ec2.code, "InvalidParameterValue");
        let ssm = page.ssm("Letters", letters()).unwrap_err();
        assert_eq!(ssm.code, "ValidationException");
        let err = marked("Names.member.1=x&PageSize=many").unwrap_err();
        assert!(err.message.contains("'many'"), "{err}");
    }

    #[test]
    fn a_token_that_was_not_issued_is_refused() {
        for token in ["page-", "page-x", "2", "page--1"] {
            let err = marked(&format!("Names.member.1=x&Marker={token}")).unwrap_err();
            assert_eq!(err.code, "ValidationError", "{token}");
            let page = tokened(json!({"NextToken": token}));
            for refused in [page.ec2("L", letters()), page.ssm("L", letters())] {
                assert_eq!(refused.unwrap_err().code, "InvalidNextToken", "{token}");
            }
        }
    }
}
