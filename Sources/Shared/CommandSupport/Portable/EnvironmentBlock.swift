import CPortable

/// The C library's own view of the environment.
enum EnvironmentBlock {
    /// "NAME=value" each, nil at the end.
    static var entries: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? { CPortable_environment() }
}
