//! A company's real data: from its files, through the command, to the server, the API, SQL and the phones.

mod real_files;
