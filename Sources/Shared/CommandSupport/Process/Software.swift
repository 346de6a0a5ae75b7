internal import CBuild

/// What these programs call themselves.
package enum Software {
    /// The version of all programs, the first line of what `--version` prints.
    package static let version = "0.1.0"

    /// `program/version`, the form in which peers introduce themselves to each other.
    package static func identifier(_ program: String) -> String {
        "\(program)/\(Self.version)"
    }

    /// What `--version` prints: the version alone on its line, what was built and for which machines, and the libraries.
    ///
    /// - Parameter libraries: each with its version, such as `OpenSSL 3.0.19`.
    package static func description(libraries: [String]) -> String {
        let commit = Self.commit.map { ["commit \($0)"] } ?? []
        return ([Self.version] + commit + ["target \(Self.target)"] + libraries).joined(separator: "\n")
    }

    /// The commit that was built; nil when the build was not told.
    package static var commit: String? {
        let commit = String(cString: CBuild_commit())
        return commit.isEmpty ? nil : commit
    }

    /// As the files of a release are named, and how the system's libraries are linked.
    private static var target: String {
        #if arch(x86_64)
        let architecture = "x86_64"
        #elseif arch(arm64)
        let architecture = "aarch64"
        #else
        let architecture = "other"
        #endif
        #if os(Linux)
        let system = "linux"
        #else
        let system = "apple-darwin"
        #endif
        #if RTUN_STATIC
        let linking = "static"
        #else
        let linking = "dynamic"
        #endif
        return "\(architecture)-\(system) \(linking)"
    }
}
