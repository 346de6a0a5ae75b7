import AppProto
import Basics

@testable import rtun_server

/// A file of `--authorized-keys`; the first line, without its line break, is a name that its expressions are matched with.
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
    if let keys = try? AuthorizedKeys(parsing: contents) {
        try promise(keys.agentCount + keys.clientCount <= KeyLines.lineLimit, "more rules than lines")
        try promise(keys.refusal(of: PeerClaim(role: .client, key: nil)) == .withoutIdentity, "no key gets in")
    }
    let parts = contents.split(separator: 0x0A, maxSplits: 1, omittingEmptySubsequences: false)
    let name = String(decoding: parts[0].prefix(AppProtoLimits.name), as: UTF8.self)
    if let text = parts.dropFirst().first, let expression = try? NameExpression(String(decoding: text, as: UTF8.self)) {
        _ = expression.matches(name)
    }
}
