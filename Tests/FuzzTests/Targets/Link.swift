import Basics

@testable import CommandSupport
@testable import Signaling

/// A link to a server, as people paste it, and a file of secrets.
func fuzzLink(_ bytes: UnsafeRawBufferPointer) throws {
    let text = FuzzInput(bytes).text()
    do {
        let link = try ServerLink(parsing: text)
        try promise((try? ServerLink(parsing: link.text)) == link, "\(link) does not mean itself")
        try promise(!link.secret.isEmpty && !link.endpoints.isEmpty, "nothing to join with")
        try promise(
            LinkSecret.masked(in: link.text).hasSuffix("#***"), "the secret of a link can be seen")
    } catch let error as ServerLinkError {
        try promise(!error.description.isEmpty, "nothing is said")
    }
    let masked = LinkSecret.masked(in: text)
    try promise(LinkSecret.masked(in: masked) == masked, "what is masked is masked again")
    if let file = try? SecretFile(parsing: Array(bytes)) {
        try promise((1...SecretFile.limit).contains(file.entries.count), "too many secrets")
        try promise(file.entries.allSatisfy { !$0.secret.bytes.isEmpty }, "an empty secret")
    }
}
