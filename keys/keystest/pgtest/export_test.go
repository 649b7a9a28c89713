package pgtest

import "syscall"

var (
	Check    = check
	FindBin  = findBin
	Children = children
	Memory   = memory
)

// NewRoom is newRoom, and returns its directory and what removes it.
func NewRoom(cred *syscall.Credential) (dir string, remove func() error, err error) {
	r, err := newRoom(cred)
	if err != nil {
		return "", nil, err
	}
	return r.dir, r.remove, nil
}

// Reachable is reachable for a stranger to every file.
func Reachable(dir string) bool { return reachable(dir, &syscall.Credential{Uid: 54321, Gid: 54321}) }

// Execute is execute.
func (s *Server) Execute(sql string) error { return s.execute(sql) }

// Launch is launch, for a stopped server.
func (s *Server) Launch(free func() (int, error)) error { return s.launch(free) }

// FreePort is freePort.
func FreePort() (int, error) { return freePort() }

// Bin returns the directory of the programs.
func (s *Server) Bin() string { return s.bin }

// Dir returns the directory that is removed at the end.
func (s *Server) Dir() string { return s.room.dir }

// PID returns that of the postmaster.
func (s *Server) PID() int { return s.process.cmd.Process.Pid }
