import NIOCore

@testable import Signaling

/// Tokens that somebody shows to the server: for the list of sessions, and to have an instance id back.
func fuzzToken(_ bytes: UnsafeRawBufferPointer) throws {
    let text = FuzzInput(bytes).text()
    try promise(!SessionsToken.isValid(text, now: 0, key: tokenKey), "a forged token is accepted")
    try promise(ResumeToken(opening: Array(bytes), name: "name", with: tokenKey) == nil, "a forged token is opened")
    // The text as the name that a token is for.
    let token = ResumeToken(
        instanceID: .random(), createdAtMilliseconds: UInt64(bytes.count), expireAtMilliseconds: .max)
    let sealed = token.sealed(name: text, with: tokenKey)
    try promise(ResumeToken(opening: sealed, name: text, with: tokenKey) == token, "a token is not opened")
    try promise(ResumeToken(opening: sealed, name: text + "x", with: tokenKey) == nil, "a token for another name")
}

/// Any key will do.
let tokenKey = ServerKey(derived: Array(repeating: 7, count: 32))
