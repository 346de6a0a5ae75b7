import Testing

@testable import CommandSupport

@Suite struct ArgumentMemoryTests {
    @Test func `it has all arguments, one behind the other`() throws {
        let region = try #require(ArgumentMemory.region())
        let words = region.split(separator: 0, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
        // The last one is ended, too.
        #expect(words.dropLast() == CommandLine.arguments[...])
    }
}
