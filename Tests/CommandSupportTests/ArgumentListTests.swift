import Testing

@testable import CommandSupport

@Suite struct ArgumentListTests {
    @Test(
        arguments: [
            (["rtun-agent", "url", "--secret", "sec123", "--agent", "x"], ["sec123"]),
            (["rtun-agent", "--secret=sec123"], ["sec123"]),
            (["rtun-agent", "--e2e-secret", "a", "--secret", "b"], ["a", "b"]),
            (["rtun-agent", "--secret-file", "path", "--secrets", "x"], []),
            (["rtun-agent", "--secret"], []),
            (["rtun-agent", "--secret="], [""]),
            (["rtun-agent", "--secret", "--secret", "x"], ["--secret"]),
            ([], []),
        ] as [([String], [String])])
    func `only the values of secret options are found`(arguments: [String], secrets: [String]) {
        let bytes: [UInt8] = arguments.flatMap { Array($0.utf8) + [0] }
        let found = bytes.withUnsafeBytes { memory in
            ArgumentList.secretRanges(in: memory).map { String(decoding: memory[$0], as: UTF8.self) }
        }
        #expect(found == secrets)
    }
}
