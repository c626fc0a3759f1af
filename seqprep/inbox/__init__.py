"""A folder that new files arrive in, and the predictions of each of them."""
