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
            (["rtun-socks", "rtun://h:1/?a=b#sec123", "--listen", "x#y"], ["sec123"]),
            (["rtun-socks", "--link=RTUN://h#sec123"], ["sec123"]),
            (["rtun-agent", "--secret", "rtun://h#sec123"], ["rtun://h#sec123"]),
            (["rtun-agent", "rtun://h:1/?a=b"], []),
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
