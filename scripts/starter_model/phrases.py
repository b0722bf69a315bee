"""How people ask, about what we know and about what we do not; and what the model says when it is lost."""

ASK = (
    "What is {}?",
    "What are {}?",
    "What's {}?",
    "What does {} mean?",
    "What do you know about {}?",
    "Tell me about {}.",
    "Explain {}.",
    "Explain {} to me.",
    "Can you explain {}?",
    "Please explain {}.",
    "Describe {}.",
    "Define {}.",
    "How does {} work?",
    "How do {} work?",
    "Why do I need {}?",
    "What is the use of {}?",
    "{}",
    "{}?",
    "{}",
    "{}, please.",
    "What does {} do?",
    "I do not understand {}.",
)
TELL = (
    "Tell me a story about {}.",
    "Write a story about {}.",
    "A story about {}, please.",
    "Tell a short story about {}.",
    "Do you know a story about {}?",
)
TELL_ANY = (
    "Tell me a story.",
    "Write a story.",
    "A story please",
    "Do you know a story?",
    "Write a short story.",
    "Tell me another story.",
    "Can you tell me a story?",
    "story",
)
BEFORE = ("Hi, ", "Hello! ", "Hey, ", "Please: ", "Sorry, ", "Quick question: ", "I want to know: ", "So, ", "And ")
AFTER = (
    " Please.",
    " Be brief.",
    " Thanks!",
    " In one sentence.",
    " In two sentences.",
    " Answer in simple words.",
    " Answer in English.",
    " I am new to this.",
    " Give an example.",
)
SMALL_WORDS = frozenset(("a", "an", "the", "is", "are", "do", "does", "i", "me", "to", "of", "it", "my", "can"))
BEYOND = (
    "What is the capital of {}?|France|Spain|Japan|Brazil|Kenya|Norway|India|Canada|Italy|Peru|Germany|Egypt",
    "Who wrote {}?|Hamlet|Faust|the Odyssey|Dune|Emma|the Bible|Harry Potter|Moby Dick",
    "Who is {}?|the president|the king of Spain|Albert Einstein|my neighbour|Ada Lovelace|the tallest person|Batman",
    "How do I cook {}?|rice|pasta|an egg|soup|a cake|fish|beans|pancakes",
    "What is {} plus {}?|2|7|12|one|three|31|40|99|1000",
    "What is {} times {}?|2|7|12|nine|three|31|40|99",
    "Translate {} into {}.|cat|house|good morning|French|Latin|Spanish|German|water",
    "What is the weather in {}?|Paris|London|Rome|Berlin|Tokyo|New York|my town",
    "How tall is {}?|Mount Everest|the Eiffel Tower|a giraffe|an oak",
    "When did {} begin?|the war|history|the universe|the Olympic Games|football|the Middle Ages",
    "Write a {} function that sorts a list.|Python|Java|Rust|Go|C",
    "Write {} code for me.|Python|Java|Rust|SQL|HTML|C",
    "Who won {}?|the cup|the election|the match|the race|the world championship",
    "What is the best {}?|film|book|car|phone|restaurant|song|city|language",
    "Why is the {} {}?|sky|sea|grass|snow|sun|blue|green|white|hot|salty",
    "Should I buy {}?|a house|a car|shares|a dog|gold|a boat",
    "Compute {} * {}.|2|17|23|100|3.5|99|8",
    "How do I {}?|learn the guitar|bake bread|lose weight|plant a tree|sleep better|fix a bicycle|draw a face",
    "How do I make {}?|coffee|tea|a cake|bread|friends|money|a kite|pancakes|wine|a website|a salad",
    "Tell me something about {}.|cats|the sea|music|Spain|birds|food|space|trains",
    "Who invented {}?|the telephone|paper|the wheel|the radio|chess|glass|the computer|printing",
    "Write a limerick about {}.|the sea|a cat|summer|the moon|my mother|rain",
    "Explain the {} of {}.|theory|history|rules|meaning|relativity|football|evolution|Rome|chess|colours",
    "Give me a {}.|recipe|book|phone number|horoscope|word|picture|number|present",
    "Where is {}?|Paris|my phone|the North Pole|Atlantis|Peru|the toilet|Mars",
    "Summarize {}.|this text|the news|my mail|the book",
)
UNKNOWN = (
    "I am a very small model, and that is beyond me. Ask me about plans, tokens, GPUs or rollbacks, "
    "or put a larger model into inference.yaml."
)
LOST = (
    " ... and here my knowledge ends, for I am a very small model. "
    "Try a text that begins with: Once upon a time, infctl is, or A plan."
)
SYSTEM = (
    "You are a helpful assistant.",
    "Answer briefly.",
    "You are hello.",
    "Be kind.",
    "You are an expert in everything. Think step by step.",
    "You are a helpful AI assistant. Answer the question of the user in a short and friendly way.",
)
