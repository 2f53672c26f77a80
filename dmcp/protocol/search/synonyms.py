"""Words that often mean the same where tools are searched: what people write, and what tools are called.

General on purpose: a line is a meaning, not a product or a query. A word may stand in several lines; those of one line
stand for each other. They are stemmed when the table is made.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Final

from dmcp.protocol.search.words import stem

_MEANINGS: Final = """
    create make add new generate build insert
    create start begin initialize init open
    generate produce compose draft render
    delete remove erase rid drop clear discard destroy trash purge
    update edit modify change alter adjust revise replace
    rename move relocate
    rename name
    get fetch retrieve obtain load read
    get show display view see present
    list show enumerate all every
    find search lookup look locate discover query seek hunt
    look check inspect examine
    check verify validate test confirm
    write save store persist put record
    read open view content contents
    remember memory recall memorize note
    send deliver post transmit message
    run execute launch invoke perform start
    run command shell terminal execute bash process cli
    script code program python
    stop end kill terminate cancel abort quit
    pause stop
    copy duplicate clone
    connect link join attach relate
    relationship relation link connection edge
    merge combine join concatenate unite
    split divide separate
    convert transform translate change turn
    translate translation language
    compute calculate calculation computation work determine figure
    estimate predict forecast projection calculate
    compare comparison versus difference diff
    compare match
    summarize summary summarise overview digest recap brief
    explain describe explanation
    explore discover browse
    recommend recommendation suggest suggestion advice idea advise
    choose select pick
    rank ranking rate rating top best leaderboard standing
    review rating feedback opinion
    count number amount quantity total many
    sum total add
    mean average
    size large big length
    filter narrow
    sort order arrange
    group category cluster
    category type kind class genre
    classify categorize label
    analyze analysis insight evaluate assess examine
    track monitor watch follow
    schedule plan calendar appointment event meeting
    schedule reminder remind alarm
    book reserve reservation booking
    buy purchase order shop shopping
    sell sale
    pay payment checkout
    deal discount coupon promo sale bargain cheap offer
    price cost pricing fee rate
    price quote
    product item goods merchandise
    shop store retailer
    gift present
    task todo
    task job
    issue ticket bug problem
    project workspace
    file document
    folder directory
    tree hierarchy nested structure
    path location
    metadata info information detail property attribute
    info information detail data
    upload download import export
    download fetch
    repository repo git
    commit history log
    branch git
    stage index
    change edit diff modification
    working uncommitted unstaged
    pull merge request
    database sql table query
    table schema
    record row entry entity
    node entity
    knowledge graph
    spreadsheet excel xlsx workbook sheet csv
    presentation powerpoint ppt pptx slide deck
    word docx document
    pdf document
    paper article publication research study academic scholarly
    research investigate study
    book novel literature
    article post blog
    image picture photo photograph illustration pic
    image draw paint sketch art
    draw plot chart
    chart graph plot diagram visualize visualization
    diagram flowchart mindmap
    mind mindmap map
    video movie film clip
    movie film cinema show tv television
    music song track audio tune
    song lyrics
    podcast episode audio
    play listen stream
    play game
    video youtube
    game gaming
    speech voice speak talk audio
    email mail inbox
    email message
    chat message conversation
    contact person people
    person individual user human
    user account member profile
    employee staff
    team group
    customer client
    company business corporation firm organization enterprise
    job career employment position vacancy
    resume cv
    web website site webpage page url internet online
    url link address
    domain website
    web browser
    browse navigate visit
    click press tap
    screenshot capture snapshot
    scrape crawl extract
    extract parse pull
    news headline article
    latest recent current new now today
    history historical past
    weather forecast temperature climate
    rain precipitation humidity
    time clock timezone date
    date day
    hour time
    zone timezone
    location place position
    place venue spot attraction
    near nearby close around
    map geographic geography
    coordinate latitude longitude geocode
    address geocode
    route direction navigation way
    distance far
    route travel
    travel trip vacation holiday journey tour itinerary
    hotel accommodation lodging stay hostel
    flight airline plane airfare
    train rail railway
    car vehicle auto automobile
    drive driver
    house home property apartment real estate
    rent rental lease
    restaurant dining eat food
    food meal dish cuisine
    recipe cook cooking dish meal
    drink beverage
    diet nutrition calorie
    health medical medicine healthcare
    disease illness condition symptom
    doctor physician
    drug medication medicine
    fitness exercise workout
    gene genetic genome
    sport athlete
    football soccer
    team club
    match game
    money finance financial
    currency exchange money
    dollar euro usd eur currency
    stock share equity
    stock market ticker
    invest investment portfolio
    crypto cryptocurrency bitcoin coin
    loan mortgage
    tax irs
    bank account
    income salary earnings
    law legal lawyer attorney
    law court lawsuit
    contract agreement
    course learn lesson class tutorial education
    learn study teach
    school university college
    student pupil
    question answer quiz
    quiz trivia
    math mathematics arithmetic
    equation formula
    solve solution
    random roll
    dice roll
    joke humor funny
    story tale fiction
    poem poetry
    quote quotation
    horoscope astrology zodiac
    fortune tarot
    religion bible faith
    pet animal
    dog cat pet
    plant garden gardening
    color colour palette
    font typography
    logo brand
    design style template
    template layout
    website app
    application app
    code source
    code develop programming developer
    package library dependency module
    version release
    function method
    variable parameter
    error exception bug
    debug troubleshoot
    test testing
    documentation docs manual guide
    guide tutorial instruction
    example sample
    log logs
    server host
    deploy deployment
    container docker
    cloud aws
    network ip
    security vulnerability
    password credential
    login sign auth authentication
    encrypt cipher
    key token
    setting config configuration preference option
    enable activate
    disable deactivate
    device sensor
    light lamp
    camera photo
    status state progress
    performance speed
    metric statistic stats analytics
    statistic stat
    probability chance odds likelihood
    report summary
    seo keyword
    marketing advertise advertisement ad
    social media
    tweet twitter
    trend trending popular hot
    trend popular
    share publish
    comment reply
    like favorite
    rate score
    score grade
    population census demographic
    country nation
    city town
    energy electricity power
    carbon emission
    air pollution
    speed velocity
    weight mass
    height tall
    area surface
    volume capacity
    triangle geometry
    temperature celsius fahrenheit
    unit measurement conversion
    text string
    text content
    summary abstract
    paragraph heading
    rewrite paraphrase
    grammar spelling
    format style
    markdown html
    json xml
    base64 encode
    media image video audio
    picture thumbnail
    icon symbol
    qr barcode
    archive zip compress
    backup snapshot
    restore recover undo revert
    undo reset revert
    lock permission
    permission access
    subscribe subscription
    notify notification alert
    event concert
    ticket concert
    artist singer musician band
    instrument piano guitar
    actor director
    museum art exhibition
    president leader
    war battle
    king monarch queen
    century history
    element chemical
    chemical molecule compound
    physics force
    star planet
    rain snow wind sunny storm weather forecast
    umbrella jacket weather
    buy purchase product
    shoe dress shirt clothes fashion product
    furniture appliance electronics gadget product
    grocery food ingredient
    affordable cheap budget price
    ounce pound gram cup liter measurement unit
    kilometer mile meter distance
    remember reminder remind todo
    human agent support handover
    complaint support feedback
    directed director filmmaker
    acted actor
    watch movie video stream
    read book
    listen music audio song
    hike hiking trail park outdoor
    beach mountain destination
    destination travel
    flight travel
    hotel travel
    activity event attraction
    fun activity entertainment
    entertainment movie show
    play theater
    birthday birth date
    century year era period
    fact information trivia
    science physics chemistry biology
    distribution probability statistic
    coin dice probability
    fraction percentage ratio
    sum plus total
    each per every
    text sms message
    song artist album playlist
    genre style
    stylist appointment
    ride trip
    order delivery
    deliver delivery shipping ship package
    package parcel tracking
    vehicle car truck
    fuel gas petrol gasoline
    charge charging ev electric
    park parking
    job hire recruit
    salary wage pay
    contact phone email address
    profile bio
    calc calculate compute
    avg average mean
    prob probability
    multiply product times
    divide division quotient
    subtract difference minus
    maximum max highest most
    minimum min lowest least
    number num
    temperature temp
    directory dir folder
    document doc docs
    message msg
    command cmd
    database db
    image img
    reference ref
    argument arg
    environment env
    information info
    authentication auth
    organization org
    repository repo
    taxi cab ride
    hair salon barber stylist
    clean cleaning housekeeper maid
    therapist therapy counselor psychologist
    dentist dental doctor
    provider service
    cast star starring actor
    theater theatre cinema movie
    theater play show performance
    reserve table restaurant
    visit tour
    transfer payment send money fund
    transaction payment transfer
    balance account
    change modify replace switch
    cancel remove
    lower reduce decrease
    raise increase
    fix repair debug
    transcript transcribe caption subtitle
    voice speech tts
    duration length
    sale revenue
    profit earnings income
    dividend yield
    interest rate
    growth increase
    ingredient food
    vegan vegetarian
    wine beer drink
    clothes clothing fashion outfit wear apparel
    beauty makeup cosmetic skincare
    toy game
    baby child kid
    wedding marriage
    love romance dating relationship
    dream sleep
    meditation mindfulness yoga
    mental health therapy
    mood emotion feeling sentiment
    sentiment emotion
    personality trait
    name title
    phone telephone call mobile
    letter mail
    interview job
    skill ability
    university degree
    scholarship grant
    essay write paper
    vocabulary word dictionary
    definition meaning dictionary
    spell spelling
    synonym thesaurus
    citation reference bibliography
    patent invention
    startup business venture
    ai gpt llm model
    prompt instruction
    dataset data
    train model
    classifier classify
    regression predict
    cluster group
    tag label
    bookmark favorite save
    channel group
    server guild discord
    workflow automation pipeline
    automation automate
    trigger webhook
    queue job
    thread process
    memory ram
    disk storage drive
    cpu processor
    vulnerability cve exploit
    scan check
    certificate ssl tls
    domain dns whois
    proxy vpn
    ping latency
    request http call
    response reply answer
    endpoint api
    api service
    schema structure
    structure layout
    section chapter part
    page slide
    cell row column
    column field
    border line
    shape rectangle circle
    background wallpaper
    crop resize scale
    scale resize
    rotate turn
    flip mirror
    convert export
    print output
    output result
    input parameter
    value amount
    percent percentage ratio
    ratio proportion
    square root power exponent
    factor divisor prime
    graph network
    node vertex
    edge link
    string word
    list array
    array matrix
    matrix vector
    object item
    item element
    element component
    component widget ui
    interface ui
    button control
    menu option
    form survey questionnaire
    survey poll vote
    poll vote
    winner victory champion
    season league
    league tournament championship
    player athlete
    character hero champion
    weapon item
    level rank
    quest mission
    space astronomy
"""


@cache
def _table() -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for line in _MEANINGS.split("\n"):
        meaning = [stem(word) for word in line.split()]
        for word in meaning:
            found[word].update(dict.fromkeys(other for other in meaning if other != word))
    return {word: tuple(others) for word, others in found.items()}


def synonyms(term: str) -> tuple[str, ...]:
    """Return the other terms that a term may stand for."""
    return _table().get(term, ())
