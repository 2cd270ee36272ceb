//! Faults as text, for the program: `answer=503;error=SlowDown;method=DELETE;times=2`.

use std::str::FromStr;
use std::time::Duration;

use crate::fault::{End, Fault};

impl FromStr for Fault {
    type Err = String;

    /// Fields separated by `;`, in any order; `obs-local --help` lists them.
    fn from_str(rule: &str) -> Result<Self, String> {
        let fields = fields(rule)?;
        let mut fault = None;
        for (name, value) in &fields {
            let start = match name.as_str() {
                "real" => Fault::real(),
                "answer" => Fault::answer(number(value)?),
                "raw" => Fault::raw(value.clone()),
                "silence" => Fault::silence(),
                _ => continue,
            };
            if fault.replace(start).is_some() {
                return Err(format!("{rule}: one of real, answer, raw, silence, and no second"));
            }
        }
        let mut fault =
            fault.ok_or_else(|| format!("{rule}: real, answer=STATUS, raw=BYTES or silence is missing"))?;
        for (name, value) in &fields {
            fault = apply(fault, name, value)?;
        }
        Ok(fault)
    }
}

fn apply(fault: Fault, name: &str, value: &[u8]) -> Result<Fault, String> {
    let text = String::from_utf8_lossy(value);
    let two = |separator| text.split_once(separator).ok_or_else(|| format!("{name}={text}: two values"));
    Ok(match name {
        "real" | "answer" | "raw" | "silence" => fault,
        "body" => fault.body(value),
        "error" => fault.error(&text),
        "header" => {
            let (name, value) = two(':')?;
            fault.header(name.trim(), value.trim())
        }
        "without" => fault.without(&text),
        "date-offset-s" => fault.date_offset(number(value)?),
        "bare" => fault.bare(),
        "executed" => fault.executed(),
        "before" => fault.before(value),
        "delay-ms" => fault.delay(Duration::from_millis(number(value)?)),
        "cut" => fault.cut(number(value)?),
        "drip" => {
            let (bytes, pause) = two(',')?;
            fault.drip(number(bytes.as_bytes())?, Duration::from_millis(number(pause.as_bytes())?))
        }
        "repeat" => {
            let comma = value.iter().position(|byte| *byte == b',').ok_or("repeat=TIMES,BYTES")?;
            fault.repeat(&value[comma + 1..], number(&value[..comma])?)
        }
        "then" => fault.then(match text.as_ref() {
            "keep" => End::KeepAlive,
            "close" => End::Close,
            "drop" => End::Drop,
            "reset" => End::Reset,
            "half-close" => End::HalfClose,
            "stall" => End::Stall,
            _ => return Err(format!("then={text}: keep, close, drop, reset, half-close or stall")),
        }),
        "accept" => fault.at_accept(),
        "method" => fault.method(&text),
        "key" => fault.key(&text),
        "bucket" => fault.bucket(&text),
        "account" => fault.account(),
        "query" => fault.query(&text),
        "target" => fault.target_contains(&text),
        "reused" => fault.reused_connection(),
        "probability" => fault.probability(number(value)?),
        "skip" => fault.skip(number(value)?),
        "times" => fault.times(number(value)?),
        "always" => fault.always(),
        _ => return Err(format!("{name}: no such field of a fault")),
    })
}

/// The fields with their values, escapes undone.
fn fields(rule: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut fields = Vec::new();
    let mut field = Vec::new();
    let mut bytes = rule.bytes();
    let mut close = |field: &mut Vec<u8>| {
        let whole = std::mem::take(field);
        let equals = whole.iter().position(|byte| *byte == b'=').unwrap_or(whole.len());
        let name = String::from_utf8_lossy(&whole[..equals]).trim().to_owned();
        if !name.is_empty() {
            fields.push((name, whole.get(equals + 1..).unwrap_or(b"").to_vec()));
        }
    };
    while let Some(byte) = bytes.next() {
        match byte {
            b';' => close(&mut field),
            b'\\' => field.push(match bytes.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'x') => {
                    let mut digit = || (bytes.next()? as char).to_digit(16);
                    let (Some(high), Some(low)) = (digit(), digit()) else {
                        return Err(format!("{rule}: \\x takes two hex digits"));
                    };
                    (high * 16 + low) as u8
                }
                Some(other) => other,
                None => return Err(format!("{rule}: ends with a backslash")),
            }),
            _ => field.push(byte),
        }
    }
    close(&mut field);
    Ok(fields)
}

fn number<T: FromStr>(value: &[u8]) -> Result<T, String> {
    let text = String::from_utf8_lossy(value);
    text.trim().parse().map_err(|_| format!("{text:?} is not a number that fits here"))
}
