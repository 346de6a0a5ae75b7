import NIOCore
import Testing

@testable import CommandSupport

@Suite struct TimeParsingTests {
    @Test(arguments: [
        ("60", TimeUnit.minutes, TimeAmount.hours(1)),
        ("0.05", .minutes, .seconds(3)),
        ("90s", .minutes, .seconds(90)),
        ("2h", .minutes, .hours(2)),
        ("500ms", .seconds, .milliseconds(500)),
        ("1.5m", .seconds, .seconds(90)),
        ("7d", .minutes, .hours(168)),
        ("0", .seconds, .zero),
        ("0.000000001s", .seconds, .nanoseconds(1)),
        ("0.0000000019s", .seconds, .nanoseconds(1)),
        ("36500d", .seconds, .hours(24 * 36500)),
    ])
    func `a length of time is read`(text: String, unit: TimeUnit, amount: TimeAmount) throws {
        #expect(try TimeAmount(parsing: text, bareUnit: unit) == amount)
    }

    @Test(arguments: [
        "", ".", "s", ".5s", "5.s", "1.2.3", "-1", "+1", "1 s", "1S", "1min", "1e3", "١", "36501d",
        "999999999999999999999",
        "1" + String(repeating: "0", count: 1000), "nan", "inf",
    ])
    func `anything but a length of time is refused`(text: String) {
        #expect(throws: TimeParsingError.self) { try TimeAmount(parsing: text, bareUnit: .seconds) }
    }

    @Test func `the error names the text, the unit and what would be right`() {
        let error = #expect(throws: TimeParsingError.self) { try TimeAmount(parsing: "soon", bareUnit: .minutes) }
        #expect(
            error?.description
                == "\"soon\" is not a length of time; expected a number (of minutes), or one with a unit: 500ms, 90s, 1.5m, 2h, 7d"
        )
    }
}
