/// What these programs call themselves.
package enum Software {
    /// The version of all programs, as printed by `--version`.
    package static let version = "0.1.0"

    /// `program/version`, the form in which peers introduce themselves to each other.
    package static func identifier(_ program: String) -> String {
        "\(program)/\(Self.version)"
    }
}
