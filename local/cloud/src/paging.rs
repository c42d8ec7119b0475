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
        let size = size(self.page_size, (1, 400), |size, bound| {
            ApiError::constraint(Some(&size.to_string()), "PageSize", &bound.member())
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

    /// The page of a listing under `name`, as EC2 gives it. The smallest and the largest page are
    /// the action's own.
    pub(crate) fn ec2(
        &self,
        name: &str,
        items: Vec<Value>,
        range: (usize, usize),
    ) -> Result<Value, ApiError> {
        let size = size(self.max_results, range, |size, bound| {
            let expected = match bound {
                Bound::Least(least) => format!("greater than or equal to {least}"),
                Bound::Most(most) => format!("less than or equal to {most}"),
            };
            ApiError::sender(
                "InvalidParameterValue",
                format!(
                    "Value ( {size} ) for parameter maxResults is invalid. Expecting a value \
                     {expected}."
                ),
            )
        })?;
        let (items, next) = cut(items, self.next_token.as_deref(), size)
            .ok_or_else(|| ApiError::sender("InvalidNextToken", "the token is not one of ours"))?;
        Ok(json!({name: items, "nextToken": next}))
    }

    /// The page of a listing under `name`, as Systems Manager gives it.
    pub(crate) fn ssm(
        &self,
        name: &str,
        items: Vec<Value>,
        least: usize,
    ) -> Result<Value, ApiError> {
        let size = size(self.max_results, (least, 50), |size, bound| ApiError {
            code: "ValidationException".into(),
            ..ApiError::constraint(Some(&size.to_string()), "MaxResults", &bound.member())
        })?;
        let (items, next) = cut(items, self.next_token.as_deref(), size).ok_or_else(|| {
            ApiError::sender("InvalidNextToken", "The specified token is not valid.")
        })?;
        Ok(json!({name: items, "NextToken": next}))
    }
}

/// Which end of the range of sizes was passed.
enum Bound {
    Least(usize),
    Most(usize),
}

impl Bound {
    /// As the services write it that name a constraint.
    fn member(&self) -> String {
        match self {
            Self::Least(least) => {
                format!("Member must have value greater than or equal to {least}")
            }
            Self::Most(most) => format!("Member must have value less than or equal to {most}"),
        }
    }
}

/// How many items a page has: what was asked for, or the most that is allowed.
fn size(
    wanted: Option<usize>,
    (least, most): (usize, usize),
    refused: impl FnOnce(usize, Bound) -> ApiError,
) -> Result<usize, ApiError> {
    match wanted {
        None => Ok(most),
        Some(size) if size < least => Err(refused(size, Bound::Least(least))),
        Some(size) if size > most => Err(refused(size, Bound::Most(most))),
        Some(size) => Ok(size),
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
        let ec2 = page.ec2("Many", many.clone(), (5, 1000)).unwrap();
        assert_eq!(ec2["Many"].as_array().map(Vec::len), Some(1000));
        assert_eq!(ec2["nextToken"], "page-1000");
        let ssm = page.ssm("Many", many, 1).unwrap();
        assert_eq!(ssm["Many"].as_array().map(Vec::len), Some(50));
        assert_eq!(ssm["NextToken"], "page-50");
    }

    #[test]
    fn a_page_behind_the_end_is_empty() {
        let page = tokened(json!({"NextToken": "page-7"}));
        let empty = json!({"Letters": [], "NextToken": null});
        assert_eq!(page.ssm("Letters", letters(), 1).unwrap(), empty);
    }

    #[test]
    fn each_service_refuses_a_size_in_its_own_words() {
        for (size, bound) in [
            (0, "greater than or equal to 1"),
            (401, "less than or equal to 400"),
        ] {
            let err = marked(&format!("Names.member.1=x&PageSize={size}")).unwrap_err();
            let expected = format!(
                "400 ValidationError: 1 validation error detected: Value '{size}' at 'pageSize' \
                 failed to satisfy constraint: Member must have value {bound}"
            );
            assert_eq!(err.to_string(), expected);
        }
        for (size, bound) in [
            (4, "greater than or equal to 5"),
            (1001, "less than or equal to 1000"),
        ] {
            let page = tokened(json!({"MaxResults": size}));
            let ec2 = page.ec2("Letters", letters(), (5, 1000)).unwrap_err();
            let expected = format!(
                "400 InvalidParameterValue: Value ( {size} ) for parameter maxResults is invalid. \
                 Expecting a value {bound}."
            );
            assert_eq!(ec2.to_string(), expected);
        }
        for size in [4, 51] {
            let page = tokened(json!({"MaxResults": size}));
            let ssm = page.ssm("Letters", letters(), 5).unwrap_err();
            assert_eq!(ssm.code, "ValidationException");
            assert!(ssm.message.contains("at 'maxResults'"), "{ssm}");
        }
        let err = marked("Names.member.1=x&PageSize=many").unwrap_err();
        assert!(err.message.contains("'many'"), "{err}");
    }

    #[test]
    fn a_token_that_was_not_issued_is_refused() {
        for token in ["page-", "page-x", "2", "page--1"] {
            let err = marked(&format!("Names.member.1=x&Marker={token}")).unwrap_err();
            assert_eq!(err.code, "ValidationError", "{token}");
            let page = tokened(json!({"NextToken": token}));
            for refused in [
                page.ec2("L", letters(), (5, 1000)),
                page.ssm("L", letters(), 1),
            ] {
                assert_eq!(refused.unwrap_err().code, "InvalidNextToken", "{token}");
            }
        }
    }
}
