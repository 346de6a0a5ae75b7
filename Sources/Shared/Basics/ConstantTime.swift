/// Whether two byte strings are equal, in a time that depends only on their lengths: every byte is looked at, whatever
/// the ones before it said.
///
/// Use it for MACs, tokens and passwords. Strings of different lengths are unequal at once: lengths are no secret.
package func constantTimeEquals(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    return zip(left, right).reduce(into: UInt8(0)) { $0 |= $1.0 ^ $1.1 } == 0
}
