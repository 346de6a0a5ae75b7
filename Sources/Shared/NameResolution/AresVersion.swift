internal import CAres

/// The c-ares that is used, which may be a newer one than the program was built with.
package enum AresVersion {
    /// Such as `c-ares 1.18.1`.
    package static var description: String { "c-ares \(String(cString: ares_version(nil)))" }
}
