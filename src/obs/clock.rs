//! Which Date of a list can be believed.

use crate::base::date;
use crate::http::Headers;

/// The most by which OBS lets the date of a signature differ from its own clock, in seconds.
pub(crate) const MAX_SKEW: u64 = 15 * 60;

/// Returns the earlier of a list's Date and the time by which its request was dated. A service that has
/// just accepted a signature of `dated` is at most 15 minutes from it: a Date further off comes from a gateway or
/// a cache between, and would make live uploads look old.
pub fn trusted_date(headers: &Headers, dated: i64) -> Result<i64, String> {
    let Some(text) = headers.get("date") else {
        return Err("it has no Date to measure their age by".to_owned());
    };
    let mut dates = headers.all("date").map(|text| std::str::from_utf8(text).ok().and_then(date::parse_http));
    let first = dates.next().flatten();
    let Some(now) = first else {
        let text = String::from_utf8_lossy(text);
        return Err(format!("their age is not known, since its Date can't be read: {text:?}"));
    };
    if dates.any(|other| other != first) {
        return Err("it has two Dates that differ, so that their age is not known".to_owned());
    }
    if now.abs_diff(dated) > MAX_SKEW {
        return Err(format!(
            "its Date is {} s from the clock that the service accepted: something on the way writes Dates of its own",
            now.abs_diff(dated)
        ));
    }
    Ok(now.min(dated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_that_can_be_believed() {
        const DATE: &str = "Wed, 01 Jul 2015 05:28:27 GMT";
        const A_SECOND_LATER: &str = "Wed, 01 Jul 2015 05:28:28 GMT";
        const UNIX: i64 = 1_435_728_507;
        for (dates, dated, want) in [
            (&[DATE][..], UNIX, Some(UNIX)),
            (&[DATE], UNIX + 10, Some(UNIX)),
            (&[DATE], UNIX - 10, Some(UNIX - 10)),
            (&[DATE], UNIX + 900, Some(UNIX)),
            (&[DATE], UNIX - 900, Some(UNIX - 900)),
            (&[DATE], UNIX + 901, None),
            (&[DATE], UNIX - 901, None),
            (&[DATE, DATE], UNIX, Some(UNIX)),
            (&[DATE, A_SECOND_LATER], UNIX, None),
            (&[DATE, "soon"], UNIX, None),
            (&["soon"], UNIX, None),
            (&[], UNIX, None),
        ] {
            let headers = Headers::from_fields(dates.iter().map(|date| ("Date", date.as_bytes())));
            assert_eq!(trusted_date(&headers, dated).ok(), want, "{dates:?} by {dated}");
        }
    }
}
