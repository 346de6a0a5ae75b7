import Basics

@testable import rtun_server

/// A file of `--authorized-keys`. Regular expressions are the library's, and can be made to take any time.
func fuzzAuthorizedKeys(_ bytes: UnsafeRawBufferPointer) throws {
    let contents = Array(bytes)
    do {
        let lines = try KeyLines(parsing: contents).lines
        try promise(lines.count <= KeyLines.lineLimit, "too many lines")
        try promise(lines.allSatisfy { !$0.words.isEmpty && !$0.words.contains("") }, "an empty word")
        try promise(zip(lines, lines.dropFirst()).allSatisfy { $0.number < $1.number }, "lines out of order")
    } catch let error as KeyLineError {
        try promise(!error.problem.isEmpty, "nothing is said")
    }
    if !contents.contains("agents=".utf8), let keys = try? AuthorizedKeys(parsing: contents) {
        try promise(keys.agentCount + keys.clientCount <= KeyLines.lineLimit, "more rules than lines")
        try promise(keys.refusal(of: PeerClaim(role: .client, key: nil)) == .withoutIdentity, "no key gets in")
    }
}
