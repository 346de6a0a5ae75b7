/// What a peer wants to be on its control connection.
package enum Role: UInt32, Hashable, Sendable {
    case agent = 1
    case client = 2
}
