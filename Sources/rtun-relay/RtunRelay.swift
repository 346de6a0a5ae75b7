import CommandSupport

@main
enum RtunRelay {
    static func main() async {
        await ProgramMain.run(RelayCommand.self)
    }
}
