//! Long texts under a deadline: the work ends soon after the time is over, and never says that it found nothing.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use inference::jailbreak::JailbreakDetector;
use inference::pii::PiiRecognizers;
use inference::ports::{Jailbreaks, Pii};
use pipeline::ports::{Deadline, JailbreakDetector as _, PiiRecognizer as _, PortFailure};

/// The longest prompt that fits into a request by default, more or less.
const BYTES: usize = 9_000_000;

/// Texts that cost the recognisers most, and plain prose.
const UNITS: [&str; 4] = [
    "Please summarise the next chapter of this long book about the sea. ",
    "call 555 123 4567 at 10:45 or write to nobody@example.org. ",
    "1.2.3.4 ",
    "you are now act as pretend to be do anything ignore ",
];

#[test]
fn a_check_of_nine_megabytes_ends_when_its_time_is_over() {
    for unit in UNITS {
        let text = unit.repeat(BYTES / unit.len());
        let limit = Duration::from_millis(1);
        let failure = Jailbreaks::load().detect(&text, &mut Deadline::after(limit)).unwrap_err();
        assert_eq!(failure.kind, PortFailure::TIMEOUT, "{unit}");
        let failure = Pii::load().find(&text, &mut Deadline::after(limit)).unwrap_err();
        assert_eq!(failure.kind, PortFailure::TIMEOUT, "{unit}");
    }
}

#[test]
fn leave_is_asked_for_again_and_again() {
    let text = UNITS[0].repeat(BYTES / UNITS[0].len());
    let (mut asked, mut most) = (0, 0);
    let finding = JailbreakDetector::built_in().detect_with_leave(&text, &mut |bytes| {
        (asked, most) = (asked + 1, most.max(bytes));
        if asked < 200 { Ok(()) } else { Err("enough") }
    });
    assert_eq!((finding.err(), asked), (Some("enough"), 200));
    assert!(most < 128 * 1024, "{most}");

    let text = UNITS[2].repeat(100_000);
    let all = PiiRecognizers::built_in().find(&text).len();
    assert_eq!(all, 100_000);
    for limit in [1, 2, 5, 10] {
        let mut asked = 0;
        let found = PiiRecognizers::built_in().find_with_leave(&text, &mut |_| {
            asked += 1;
            if asked < limit { Ok(()) } else { Err("enough") }
        });
        assert_eq!(found.err(), Some("enough"), "{limit}");
    }
}
