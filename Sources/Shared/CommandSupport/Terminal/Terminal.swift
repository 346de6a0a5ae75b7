import Basics
import LibC

/// The terminal that stderr may be.
package struct Terminal: Sendable {
    /// What a terminal can do, as far as the environment tells.
    package struct Traits: Hashable, Sendable {
        /// Whether the cursor can be moved, so that a line can be written over.
        package var rewritesLines: Bool
        /// Whether text may be coloured: that can be done, and nobody has asked not to (no-color.org).
        package var hasColors: Bool
        /// Whether it shows more than ASCII.
        package var isUnicode: Bool

        /// By `TERM`, `NO_COLOR` and the locale.
        package init(environment: (String) -> String?) {
            let kind = environment("TERM") ?? ""
            self.rewritesLines = !kind.isEmpty && kind != "dumb"
            self.hasColors = self.rewritesLines && (environment("NO_COLOR") ?? "").isEmpty
            let locale = ["LC_ALL", "LC_CTYPE", "LANG"].compactMap(environment).first { !$0.isEmpty } ?? ""
            self.isUnicode = locale.uppercased().filter { $0 != "-" }.includes("UTF8")
        }

        /// Neither colours nor anything else.
        package static let none = Traits { _ in nil }
    }

    /// Where it is written to.
    let descriptor: Int32
    package let traits: Traits

    /// Nil when `stream` is no terminal.
    package init?(_ stream: StandardStream) {
        guard isatty(stream.rawValue) == 1 else { return nil }
        self.descriptor = stream.rawValue
        self.traits = Traits { getenv($0).map { String(cString: $0) } }
    }

    /// Whether what is written to the one is seen on the other.
    func isSame(as other: Terminal) -> Bool {
        var (one, another) = (stat(), stat())
        guard fstat(self.descriptor, &one) == 0, fstat(other.descriptor, &another) == 0 else { return false }
        return one.st_rdev == another.st_rdev
    }

    /// How wide it is now; 80 where it does not say.
    var columns: Int {
        var size = winsize()
        guard ioctl(self.descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// Whether this process is in front: one in the background must leave the rows of others alone. Where a terminal does not
    /// control its processes, all of them are.
    var isOurs: Bool {
        let front = tcgetpgrp(self.descriptor)
        return front < 0 || front == getpgrp()
    }
}
