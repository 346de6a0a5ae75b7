import ArgumentParser
import NIOCore
import Testing

@testable import rtun_server

@Suite struct BitRateTests {
    @Test(arguments: [
        ("1", 1), ("500k", 500_000), ("500K", 500_000), ("10M", 10_000_000), ("1.5G", 1_500_000_000),
        ("2.75m", 2_750_000), ("0.5k", 500), ("1.2345k", 1234), ("1000G", 1_000_000_000_000),
    ]) func `a rate is a number with a unit or without`(text: String, bits: UInt64) throws {
        #expect(try BitRate.parse(text)?.bitsPerSecond == bits)
    }

    @Test(arguments: ["0", "0k", "0.0M"]) func `a rate of 0 is no limit`(text: String) throws {
        #expect(try BitRate.parse(text) == nil)
    }

    @Test(arguments: [
        "", "k", "-1", "+1", "10 M", "10MB", "10Mbit", "1,5M", "1.", ".5M", "1.2.3", "1e6", "0x10", "1001G",
        "99999999999999999999", "0.5", "0.0001k", "١M", "9999999999999G",
    ]) func `anything but a rate is refused with what is expected`(text: String) {
        let error = #expect(throws: BitRate.ParsingError.self) { try BitRate.parse(text) }
        #expect(error?.description.contains("500k, 10M, 1.5G") == true)
    }

    @Test func `a wrong rate is refused with its option`() throws {
        let wrong = try #require(throws: (any Error).self) {
            _ = try ServerCommand.parse(["--secret", "x", "--bridge-rate", "fast"])
        }
        #expect(ServerCommand.message(for: wrong).contains("--bridge-rate: \"fast\" is not a rate"))
        let senseless = try #require(throws: (any Error).self) {
            _ = try ServerCommand.parse(["--secret", "x", "--no-bridge", "--bridge-total-rate", "1M"])
        }
        #expect(ServerCommand.message(for: senseless).contains("make no sense with --no-bridge"))
    }

    @Test func `the options become limits, and without any there are none`() throws {
        #expect(try ServerCommand.parse(["--no-bridge"]).bridge.limits() == nil)
        let free = try #require(try ServerCommand.parse([]).bridge.limits())
        #expect(free.channelRate == nil && free.totalRate == nil)
        let capped = try #require(
            try ServerCommand.parse(["--bridge-rate", "2M", "--bridge-total-rate", "1G"]).bridge.limits())
        #expect(capped.channelRate?.bitsPerSecond == 2_000_000)
        #expect(capped.totalRate?.bitsPerSecond == 1_000_000_000)
        #expect(try ServerCommand.parse(["--bridge-rate", "0"]).bridge.limits()?.channelRate == nil)
    }
}
