/// The pages of program code that the process has mapped: only Linux says which they are.
package enum CodePages {
    /// Leaves it to the kernel to unmap what is not needed any more.
    package static func release() {}
}
