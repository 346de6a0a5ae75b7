import CPortable
import LibC

/// Where the system has the arguments of this process from.
enum ArgumentMemory {
    /// The memory of the arguments that `main` was given, each ended by NUL, as far as they lie one behind the other: at the start
    /// of a process they do.
    static func region() -> UnsafeMutableRawBufferPointer? {
        var count: CInt = 0
        guard let arguments = CPortable_arguments(&count), count > 0, let start = arguments[0] else { return nil }
        var end = start
        for index in 0..<Int(count) {
            guard let argument = arguments[index], argument == end else { break }
            end = argument + strlen(argument) + 1
        }
        return UnsafeMutableRawBufferPointer(start: start, count: end - start)
    }
}
