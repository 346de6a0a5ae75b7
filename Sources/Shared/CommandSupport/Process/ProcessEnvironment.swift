import LibC

/// The process's environment variables.
enum ProcessEnvironment {
    /// The names of all variables. Call it while no other thread changes the environment.
    static var names: [String] {
        guard var next = EnvironmentBlock.entries else { return [] }
        var names: [String] = []
        while let entry = next.pointee {
            names.append(String(String(cString: entry).prefix { $0 != "=" }))
            next += 1
        }
        return names
    }

    /// The variable's value, or nil.
    static func value(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// The variable's value, which is then overwritten and removed, so that neither the system nor a child
    /// process shows it. Call it at start, while no other thread reads the environment.
    static func take(_ name: String) -> String? {
        guard let pointer = getenv(name) else { return nil }
        let value = String(cString: pointer)
        memset(pointer, 0, strlen(pointer))
        unsetenv(name)
        return value
    }
}
