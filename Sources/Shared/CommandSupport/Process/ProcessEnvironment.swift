import Glibc

/// The process's environment variables.
enum ProcessEnvironment {
    /// The variable's value, or nil.
    static func value(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// The variable's value, which is then overwritten and removed, so that neither `/proc/self/environ` nor a child
    /// process shows it. Call it at start, while no other thread reads the environment.
    static func take(_ name: String) -> String? {
        guard let pointer = getenv(name) else { return nil }
        let value = String(cString: pointer)
        memset(pointer, 0, strlen(pointer))
        unsetenv(name)
        return value
    }
}
